// linkat: links to links, to what links lead to, to directories, to removed files; bad flags.
#include "show.h"

int main(void) {
    make_file("file", "text");
    MUST(mkdir("d", 0755));
    MUST(symlink("file", "soft"));
    MUST(symlink("nowhere", "dangling"));
    SHOW(link("file", "hard"));
    SHOW(link("soft", "softlink"));
    show_path("softlink");
    SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    show_path("followed");
    SHOW(linkat(AT_FDCWD, "dangling", AT_FDCWD, "x", AT_SYMLINK_FOLLOW));
    SHOW(link("dangling", "dangling2"));
    SHOW(link("file", "dangling"));
    SHOW(link("d", "d2"));
    SHOW(link("file", "d"));
    SHOW(link("file", "d/"));
    SHOW(link("file", "new/"));
    SHOW(link("file/", "new"));
    SHOW(link("", "new"));
    SHOW(link("file", ""));
    SHOW(link("file", "."));
    SHOW(link("file", "missing/new"));
    SHOW(link("file", "hard"));
    SHOW(linkat(AT_FDCWD, "file", AT_FDCWD, "new", 0x8));
    SHOW(linkat(-1, "file", AT_FDCWD, "new", 0));
    int fd = MUST(open("hard", O_RDONLY));
    MUST(unlink("hard"));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    show_fd("two left", fd);
    MUST(unlink("file"));
    MUST(unlink("followed"));
    show_fd("none left", fd);
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
    SHOW(link("/dev/null", "elsewhere"));
    return 0;
}
