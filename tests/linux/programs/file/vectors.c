// readv, writev, preadv, pwritev: order, empty entries, limits.
#include "show.h"
#include <sys/uio.h>

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    struct iovec out[4] = {{"one", 3}, {NULL, 0}, {"two", 3}, {"three", 5}};
    SHOW(writev(fd, out, 4));
    SHOW(writev(fd, out, 0));
    SHOW(syscall(SYS_writev, fd, out, -1));
    SHOW(pwritev(fd, out, 1, 20));
    char a[4], b[16];
    struct iovec in[3] = {{a, 4}, {NULL, 0}, {b, 16}};
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(readv(fd, in, 3));
    show_bytes("a", a, 4);
    show_bytes("b", b, 16);
    SHOW(preadv(fd, in, 3, 2));
    show_bytes("a", a, 4);
    SHOW(preadv(fd, in, 3, -1));
    struct iovec many[IOV_MAX + 1];
    for (int i = 0; i <= IOV_MAX; i++) many[i] = (struct iovec){"z", 1};
    SHOW(writev(fd, many, IOV_MAX));
    SHOW(writev(fd, many, IOV_MAX + 1));
    SHOW(readv(fd, bad_pointer(), 1));
    return 0;
}
