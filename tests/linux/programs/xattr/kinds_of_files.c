// user.* attributes exist on files and directories, not on symlinks and fifos; they follow the file through
// rename.
#include "show.h"
#include <sys/xattr.h>

int main(void) {
    make_file("file", "");
    char data[16];
    MUST(mkdir("d", 0755));
    MUST(symlink("file", "link"));
    MUST(mkfifo("fifo", 0644));
    SHOW(setxattr("d", "user.a", "d", 1, 0));
    SHOW(setxattr("link", "user.a", "f", 1, 0));
    SHOW(getxattr("file", "user.a", data, sizeof data));
    SHOW(lsetxattr("link", "user.a", "l", 1, 0));
    SHOW(lgetxattr("link", "user.a", data, sizeof data));
    SHOW(setxattr("fifo", "user.a", "p", 1, 0));
    MUST(rename("file", "moved"));
    SHOW(getxattr("moved", "user.a", data, sizeof data));
    MUST(link("moved", "hard"));
    SHOW(getxattr("hard", "user.a", data, sizeof data));
    return 0;
}
