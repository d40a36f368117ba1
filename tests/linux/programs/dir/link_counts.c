// Hard links: counts, one inode, what may not be linked.
#include "show.h"

int main(void) {
    make_file("a", "one");
    SHOW(link("a", "b"));
    SHOW(link("a", "b"));
    show_path("a");
    struct stat x, y;
    MUST(stat("a", &x));
    MUST(stat("b", &y));
    SHOW_TRUE(x.st_ino == y.st_ino && x.st_dev == y.st_dev);
    make_file("b", "two");
    show_content("a");
    SHOW(unlink("a"));
    show_path("b");
    MUST(mkdir("d", 0755));
    SHOW(link("d", "d2"));
    SHOW(link("missing", "c"));
    SHOW(link("b", "missing/c"));
    SHOW(link("b", "d"));
    SHOW(link("b", "c/"));
    MUST(symlink("b", "s"));
    SHOW(link("s", "hard"));
    show_path("hard");
    SHOW(linkat(AT_FDCWD, "s", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    show_path("followed");
    SHOW(linkat(AT_FDCWD, "b", AT_FDCWD, "c", 0x8000));
    MUST(symlink("missing", "dangling"));
    SHOW(linkat(AT_FDCWD, "dangling", AT_FDCWD, "c", AT_SYMLINK_FOLLOW));
    SHOW(link("dangling", "dangling2"));
    return 0;
}
