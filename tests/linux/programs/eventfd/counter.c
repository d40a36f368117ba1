// eventfd: adding, reading, non-blocking, overflow, sizes.
#include "show.h"
#include <sys/eventfd.h>

static long add(int fd, uint64_t value) {
    return write(fd, &value, 8);
}

int main(void) {
    int fd = SHOW_OK(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    uint64_t v = 0;
    SHOW(fcntl(fd, F_GETFD));
    SHOW(add(fd, 4));
    SHOW(read(fd, &v, 8));
    SHOW_NUMBER(v);
    SHOW(read(fd, &v, 8));
    SHOW(add(fd, 0));
    SHOW(read(fd, &v, 8));
    SHOW(add(fd, UINT64_MAX));
    SHOW(add(fd, UINT64_MAX - 1));
    SHOW(add(fd, 1));
    SHOW(read(fd, &v, 8));
    SHOW_TRUE(v == UINT64_MAX - 1);
    SHOW(write(fd, &v, 4));
    SHOW(read(fd, &v, 4));
    char big[16] = {1};
    SHOW(write(fd, big, 16));
    SHOW(read(fd, big, 16));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(eventfd(0, 0x10));
    SHOW(pread(fd, &v, 8, 0));
    return 0;
}
