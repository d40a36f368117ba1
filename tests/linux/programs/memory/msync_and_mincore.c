// msync's arguments; mincore on what was just touched and on nothing.
#include "show.h"

int main(void) {
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char map[4];
    a[0] = a[2 * PAGE] = 1;
    SHOW(msync(a, 4 * PAGE, MS_SYNC));
    SHOW(msync(a, 4 * PAGE, MS_ASYNC | MS_SYNC));
    SHOW(msync(a + 1, PAGE, MS_SYNC));
    SHOW(msync(a, PAGE, 0x80));
    SHOW(mincore(a, 4 * PAGE, map));
    SHOW_NUMBER(map[0] & 1);
    SHOW_NUMBER(map[2] & 1);
    SHOW(mincore(a + 1, PAGE, map));
    SHOW(mincore(a, PAGE, bad_pointer()));
    MUST(munmap(a + PAGE, PAGE));
    SHOW(msync(a, 4 * PAGE, MS_SYNC));
    SHOW(mincore(a, 4 * PAGE, map));
    return 0;
}
