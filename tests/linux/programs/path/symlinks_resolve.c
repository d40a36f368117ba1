// Symlinks: relative, absolute, through directories, dangling, in the middle of a path.
#include "show.h"

int main(void) {
    char here[PATH_MAX], target[PATH_MAX + 16];
    MUST(syscall(SYS_getcwd, here, sizeof here));
    MUST(mkdir("a", 0755));
    MUST(mkdir("a/b", 0755));
    make_file("a/file", "content");
    SHOW(symlink("../file", "a/b/up"));
    show_content("a/b/up");
    snprintf(target, sizeof target, "%s/a", here);
    SHOW(symlink(target, "absolute"));
    show_content("absolute/b/up");
    SHOW(symlink("missing", "dangling"));
    show_path("dangling");
    show_content("dangling");
    SHOW(symlink("x", "dangling"));
    SHOW(symlink("", "empty"));
    SHOW(symlink("x", ""));
    SHOW(symlink("x", "missing/y"));
    SHOW(symlink(bad_pointer(), "y"));
    SHOW(mkdir("dangling", 0755));
    SHOW(rename("dangling", "moved"));
    show_path("moved");
    return 0;
}
