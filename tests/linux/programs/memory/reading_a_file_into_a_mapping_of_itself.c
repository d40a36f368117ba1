// read into a mapping of the same file, and write from one, do what memcpy would.
#include "show.h"

int main(void) {
    char text[PAGE];
    for (size_t i = 0; i < sizeof text; i++) text[i] = 'a' + i % 26;
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    MUST(write(fd, text, sizeof text));
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW(pread(fd, m + 100, 5, 0));
    show_bytes("mapped", m + 98, 9);
    SHOW(pwrite(fd, m + 10, 5, 4090));
    show_bytes("mapped", m + 4090, 6);
    SHOW(pwrite(fd, m, PAGE, PAGE));
    show_fd("file", fd);
    return 0;
}
