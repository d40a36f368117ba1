// Two shared mappings of one memfd, and truncation under them.
#include "show.h"

int main(void) {
    int fd = MUST(syscall(SYS_memfd_create, "shared", 0));
    MUST(ftruncate(fd, 2 * PAGE));
    char *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    a[5] = 'a';
    b[6] = 'b';
    p[7] = 'p';
    show_bytes("a", a + 5, 3);
    show_bytes("p", p + 5, 3);
    MUST(ftruncate(fd, PAGE));
    MUST(ftruncate(fd, 2 * PAGE));
    a[PAGE] = 'z';
    SHOW_NUMBER(b[PAGE]);
    char data[3];
    SHOW(pread(fd, data, 3, 5));
    show_bytes("read", data, 3);
    return 0;
}
