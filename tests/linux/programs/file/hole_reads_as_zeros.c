// What was never written reads as zeros: after a seek, after growing by ftruncate, inside and across pages.
#include "show.h"

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    SHOW(pwrite(fd, "end", 3, 10000));
    show_fd("sparse", fd);
    char data[8192];
    memset(data, 'x', sizeof data);
    SHOW(pread(fd, data, sizeof data, 4000));
    int nonzero = 0;
    for (int i = 0; i < 6000; i++) nonzero += data[i] != 0;
    SHOW_NUMBER(nonzero);
    show_bytes("tail", data + 5998, 5);
    SHOW(ftruncate(fd, 20000));
    SHOW(pread(fd, data, 8, 15000));
    show_bytes("grown", data, 8);
    return 0;
}
