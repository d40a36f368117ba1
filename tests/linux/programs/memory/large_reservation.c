// A PROT_NONE or NORESERVE reservation of a gigabyte costs nothing; parts are committed by mprotect.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    size_t size = 1UL << 30;
    char *r = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SHOW_TRUE(r != MAP_FAILED);
    SHOW(mprotect(r + size / 2, 16 * PAGE, PROT_READ | PROT_WRITE));
    show_write("committed", r, size / 2);
    show_write("reserved", r, size / 2 - 1);
    show_write("reserved", r, size / 2 + 16 * PAGE);
    SHOW(munmap(r, size));
    show_read("gone", r, size / 2);
    char *w = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SHOW_TRUE(w != MAP_FAILED);
    show_write("first", w, 0);
    show_write("last", w, size - 1);
    show_read("middle", w, size / 2);
    return 0;
}
