// A vector whose lengths add up to more than SSIZE_MAX, or with a negative one, is EINVAL; a bad entry ends
// the transfer.
#include "show.h"
#include <sys/uio.h>

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    char data[8] = "datadata";
    struct iovec negative[2] = {{data, 8}, {data, (size_t)SSIZE_MAX + 1}};
    SHOW(writev(fd, negative, 2));
    struct iovec bad_second[2] = {{data, 8}, {bad_pointer(), 8}};
    SHOW(writev(fd, bad_second, 2));
    struct iovec bad_first[2] = {{bad_pointer(), 8}, {data, 8}};
    SHOW(writev(fd, bad_first, 2));
    MUST(lseek(fd, 0, SEEK_SET));
    SHOW(readv(fd, bad_first, 2));
    SHOW(lseek(fd, 0, SEEK_CUR));
    return 0;
}
