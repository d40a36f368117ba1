// SEEK_DATA and SEEK_HOLE where every file system agrees: a dense file, and beyond its end.
#include "show.h"

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR));
    SHOW(lseek(fd, 0, SEEK_DATA));
    SHOW(lseek(fd, 5, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE));
    SHOW(lseek(fd, 10, SEEK_DATA));
    SHOW(lseek(fd, 10, SEEK_HOLE));
    SHOW(lseek(fd, 11, SEEK_HOLE));
    SHOW(lseek(fd, -1, SEEK_DATA));
    SHOW(lseek(fd, -1, SEEK_HOLE));
    return 0;
}
