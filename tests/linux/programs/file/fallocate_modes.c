// fallocate: growing, keeping the size, zeroing a range, errors.
#include "show.h"
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#endif

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR)), ro = MUST(open("file", O_RDONLY)), ends[2];
    SHOW(fallocate(fd, 0, 0, 5));
    show_fd("inside", fd);
    SHOW(fallocate(fd, 0, 8, 100));
    show_fd("grown", fd);
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 5000));
    show_fd("kept", fd);
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
    char data[10];
    SHOW(pread(fd, data, 10, 0));
    show_bytes("punched", data, 10);
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 2, 3));
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(fallocate(fd, 0, -1, 5));
    SHOW(fallocate(fd, 0, 5, -1));
    SHOW(fallocate(ro, 0, 0, 5));
    MUST(pipe(ends));
    SHOW(fallocate(ends[1], 0, 0, 5));
    SHOW(fallocate(-1, 0, 0, 5));
    SHOW_ERROR(posix_fallocate(fd, 0, 200));
    show_fd("posix_fallocate", fd);
    return 0;
}
