// The *at family: a bad descriptor matters only for relative paths; a file is ENOTDIR.
#include "show.h"

int main(void) {
    make_file("file", "");
    MUST(mkdir("d", 0755));
    int file = MUST(open("file", O_RDONLY)), d = MUST(open("d", O_RDONLY));
    struct stat st;
    char text[8];
    SHOW(openat(-1, "x", O_RDONLY));
    SHOW(openat(file, "x", O_RDONLY));
    SHOW_OK(openat(-1, "/", O_RDONLY));
    SHOW_OK(openat(file, "/", O_RDONLY));
    SHOW(openat(d, "", O_RDONLY));
    SHOW(mkdirat(999, "x", 0755));
    SHOW(mkdirat(file, "x", 0755));
    SHOW(unlinkat(-1, "x", 0));
    SHOW(unlinkat(d, "x", 0x1));
    SHOW(fstatat(-1, "x", &st, 0));
    SHOW(fstatat(file, "x", &st, 0));
    SHOW(fstatat(file, "", &st, 0));
    SHOW(fstatat(file, "", &st, AT_EMPTY_PATH));
    SHOW(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    SHOW(fstatat(d, ".", &st, 0x10000000));
    SHOW(readlinkat(-1, "x", text, sizeof text));
    SHOW(symlinkat("t", -1, "x"));
    SHOW(symlinkat("t", d, "x"));
    SHOW(readlinkat(d, "x", text, sizeof text));
    SHOW(linkat(-1, "x", d, "y", 0));
    SHOW(linkat(d, "x", file, "y", 0));
    SHOW(renameat(d, "x", -1, "y"));
    SHOW(renameat(d, "x", d, "y"));
    SHOW(unlinkat(d, "y", AT_REMOVEDIR));
    SHOW(unlinkat(d, "y", 0));
    SHOW(unlinkat(AT_FDCWD, "d", 0));
    SHOW(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
    SHOW(openat(d, "x", O_WRONLY | O_CREAT, 0644));
    return 0;
}
