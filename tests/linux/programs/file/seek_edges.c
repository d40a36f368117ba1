// lseek: whence values, negative results, beyond the end, not seekable.
#include "show.h"

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR));
    SHOW(lseek(fd, 3, SEEK_SET));
    SHOW(lseek(fd, 4, SEEK_CUR));
    SHOW(lseek(fd, -2, SEEK_END));
    SHOW(lseek(fd, 5, SEEK_END));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, -100, SEEK_CUR));
    SHOW(lseek(fd, -11, SEEK_END));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, 0, 99));
    SHOW(lseek(fd, 0, -1));
    SHOW(lseek(fd, INT64_MAX, SEEK_CUR));
    int ends[2];
    MUST(pipe(ends));
    SHOW(lseek(ends[0], 0, SEEK_CUR));
    SHOW(lseek(-1, 0, SEEK_CUR));
    return 0;
}
