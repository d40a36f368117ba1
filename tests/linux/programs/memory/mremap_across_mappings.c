// A range over two mappings, or over a hole, cannot be grown.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *a = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8; i++) a[i * PAGE] = 'a' + i;
    MUST(mprotect(a + 2 * PAGE, PAGE, PROT_READ));
    SHOW_OK(mremap(a, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE));
    MUST(munmap(a + 5 * PAGE, PAGE));
    SHOW_OK(mremap(a + 4 * PAGE, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
    SHOW_TRUE(mremap(a, 4 * PAGE, 2 * PAGE, 0) == a);
    for (int i = 0; i < 8; i++) show_read("page", a, i * PAGE);
    char *moved = mremap(a + 4 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    SHOW_TRUE(moved != MAP_FAILED);
    show_read("moved", moved, 0);
    show_write("moved", moved, PAGE);
    return 0;
}
