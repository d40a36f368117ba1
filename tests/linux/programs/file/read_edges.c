// read: zero lengths, end of file, bad descriptors and buffers.
#include "show.h"

int main(void) {
    make_file("file", "0123456789");
    char data[32];
    int fd = MUST(open("file", O_RDONLY)), wo = MUST(open("file", O_WRONLY));
    SHOW(read(fd, data, 0));
    SHOW(read(fd, bad_pointer(), 0));
    SHOW(read(fd, bad_pointer(), 4));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(read(fd, data, 4));
    SHOW(read(fd, data, 32));
    SHOW(read(fd, data, 32));
    SHOW(read(fd, bad_pointer(), 32));
    SHOW(read(wo, data, 1));
    SHOW(read(-1, data, 1));
    SHOW(read(MUST(open(".", O_RDONLY)), data, 1));
    return 0;
}
