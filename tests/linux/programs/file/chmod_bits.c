// chmod and fchmod keep exactly the twelve permission bits.
#include "show.h"

int main(void) {
    make_file("file", "");
    MUST(mkdir("directory", 0755));
    MUST(symlink("file", "link"));
    int fd = MUST(open("file", O_RDONLY));
    SHOW(chmod("file", 0640));
    show_path("file");
    SHOW(fchmod(fd, 04755));
    show_path("file");
    SHOW(chmod("file", 0100600));
    show_path("file");
    SHOW(chmod("directory", 01777));
    show_path("directory");
    SHOW(chmod("link", 0444));
    show_path("file");
    SHOW(fchmodat(AT_FDCWD, "file", 0755, 0));
    show_path("file");
    SHOW(chmod("missing", 0644));
    SHOW(fchmod(-1, 0644));
    SHOW(chmod(bad_pointer(), 0644));
    return 0;
}
