// Slashes behind the last name, and `.`, `..` and `/` as last names, in every call that makes or takes names.
#include "show.h"

int main(void) {
    make_file("file", "");
    MUST(mkdir("d", 0755));
    MUST(mkdir("e", 0755));
    MUST(symlink("d", "link"));
    MUST(symlink("nowhere", "dangling"));
    SHOW(mkdir("new///", 0755));
    SHOW(mkdir("new/.", 0755));
    SHOW(mkdir("new/..", 0755));
    SHOW(mkdir("/", 0755));
    SHOW(mkdir("dangling", 0755));
    SHOW(mkdir("dangling/", 0755));
    SHOW(rmdir("new/."));
    SHOW(rmdir("new/.."));
    SHOW(rmdir("/"));
    SHOW(rmdir("link/"));
    SHOW(rmdir("file/"));
    SHOW(rmdir("new/"));
    SHOW(unlink("file/"));
    SHOW(unlink("d/"));
    SHOW(unlink("link/"));
    SHOW(unlink("missing/"));
    SHOW(unlink("."));
    SHOW(unlink("/"));
    SHOW(symlink("x", "s/"));
    SHOW(symlink("x", "d/"));
    SHOW(symlink("", "s"));
    SHOW(mknod("n/", S_IFREG | 0644, 0));
    SHOW(open("n/", O_CREAT | O_WRONLY, 0644));
    SHOW(open("file/", O_RDONLY));
    SHOW(rename("file/", "moved"));
    SHOW(rename("file", "moved/"));
    SHOW(rename("file", "."));
    SHOW(rename(".", "moved"));
    SHOW(rename("d/..", "moved"));
    SHOW(rename("/", "moved"));
    SHOW(rename("d/", "moved/"));
    SHOW(rename("moved", "e/"));
    SHOW(rename("link/", "linked"));
    SHOW(rename("link", "linked"));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "e/.", 1));
    show_path("e");
    show_path("linked");
    SHOW(unlinkat(AT_FDCWD, "e", 0));
    SHOW(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "e", 0x400));
    SHOW(unlinkat(AT_FDCWD, "e", AT_REMOVEDIR));
    return 0;
}
