// A file's identity: the same inode by every way to it, another for another file.
#include "show.h"

int main(void) {
    struct stat a, b;
    make_file("x", "");
    make_file("y", "");
    MUST(mkdir("d", 0755));
    int fd = MUST(open("x", O_RDONLY));
    MUST(stat("x", &a));
    MUST(fstat(fd, &b));
    SHOW_TRUE(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    MUST(rename("x", "d/z"));
    MUST(stat("d/z", &b));
    SHOW_TRUE(a.st_ino == b.st_ino);
    MUST(stat("y", &b));
    SHOW_TRUE(a.st_ino != b.st_ino);
    MUST(stat("d/..", &a));
    MUST(stat(".", &b));
    SHOW_TRUE(a.st_ino == b.st_ino);
    SHOW_TRUE(a.st_ino != 0);
    SHOW_TRUE(a.st_blksize >= 512);
    return 0;
}
