// A shared mapping and the file are one: both ways, between two mappings, after close, at an offset.
#include "show.h"

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    MUST(ftruncate(fd, 3 * PAGE));
    char *a = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    SHOW_TRUE(a != MAP_FAILED && b != MAP_FAILED);
    memcpy(a, "first", 5);
    memcpy(a + PAGE, "second", 6);
    show_bytes("b", b, 6);
    char data[8] = "";
    SHOW(pread(fd, data, 6, PAGE));
    show_bytes("read", data, 6);
    SHOW(pwrite(fd, "THIRD", 5, PAGE));
    show_bytes("b", b, 6);
    SHOW(close(fd));
    memcpy(a + 2 * PAGE, "last", 4);
    SHOW(msync(a, 3 * PAGE, MS_SYNC));
    SHOW(munmap(a, 3 * PAGE));
    fd = MUST(open("file", O_RDONLY));
    SHOW(pread(fd, data, 4, 2 * PAGE));
    show_bytes("read", data, 4);
    show_fd("file", fd);
    return 0;
}
