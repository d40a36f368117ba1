// Offsets beyond 4 GiB in a sparse file.
#include "show.h"

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    off_t far = 5L << 32;
    SHOW(pwrite(fd, "far", 3, far));
    show_fd("file", fd);
    char data[4] = "";
    SHOW(pread(fd, data, 4, far));
    show_bytes("data", data, 3);
    SHOW(lseek(fd, -1, SEEK_END));
    SHOW(read(fd, data, 4));
    SHOW(pread(fd, data, 4, 1L << 32));
    show_bytes("hole", data, 4);
    SHOW(ftruncate(fd, 1L << 33));
    show_fd("file", fd);
    SHOW(ftruncate(fd, 2));
    show_fd("file", fd);
    return 0;
}
