// readlink truncates silently, adds no NUL, refuses size 0 and what is no link.
#include "show.h"

int main(void) {
    char data[16] = "..............";
    MUST(symlink("target", "link"));
    make_file("file", "");
    SHOW(readlink("link", data, sizeof data));
    show_bytes("data", data, 8);
    SHOW(readlink("link", data, 3));
    SHOW(readlink("link", data, 6));
    SHOW(syscall(SYS_readlink, "link", data, 0));
    SHOW(syscall(SYS_readlink, "link", data, -1));
    SHOW(readlink("link", bad_pointer(), 4));
    SHOW(readlink("file", data, sizeof data));
    SHOW(readlink(".", data, sizeof data));
    SHOW(readlink("missing", data, sizeof data));
    SHOW(readlink("", data, sizeof data));
    struct stat st;
    MUST(lstat("link", &st));
    SHOW_NUMBER(st.st_size);
    return 0;
}
