// A private mapping shows the file until it is written to, and never changes it.
#include "show.h"

int main(void) {
    char text[2 * PAGE];
    memset(text, 'f', sizeof text);
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    MUST(write(fd, text, sizeof text));
    char *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    SHOW_TRUE(m != MAP_FAILED);
    SHOW_NUMBER(m[PAGE]);
    m[0] = 'M';
    char c;
    SHOW(pread(fd, &c, 1, 0));
    SHOW_NUMBER(c);
    SHOW(pwrite(fd, "W", 1, 1));
    SHOW_NUMBER(m[1]);
    SHOW_NUMBER(m[0]);
    SHOW(msync(m, 2 * PAGE, MS_SYNC));
    SHOW(munmap(m, 2 * PAGE));
    SHOW(pread(fd, &c, 1, 0));
    SHOW_NUMBER(c);
    return 0;
}
