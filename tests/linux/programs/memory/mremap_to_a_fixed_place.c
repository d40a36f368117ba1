// MREMAP_FIXED replaces what is there; overlapping ranges and nonsense are EINVAL.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 16; i++) a[i * PAGE] = 'a' + i;
    SHOW_TRUE(mremap(a, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 8 * PAGE) == a + 8 * PAGE);
    show_read("source", a, 0);
    show_read("target", a, 8 * PAGE);
    show_read("target", a, 9 * PAGE);
    show_read("behind", a, 10 * PAGE);
    SHOW_OK(mremap(a + 4 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 5 * PAGE));
    SHOW_OK(mremap(a + 4 * PAGE, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 3 * PAGE));
    SHOW_OK(mremap(a + 4 * PAGE, PAGE, PAGE, MREMAP_FIXED, a + 12 * PAGE));
    SHOW_OK(mremap(a + 4 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a + 12 * PAGE + 1));
    SHOW_OK(mremap(a + 4 * PAGE + 1, PAGE, PAGE, MREMAP_MAYMOVE));
    SHOW_OK(mremap(a + 4 * PAGE, PAGE, 0, MREMAP_MAYMOVE));
    SHOW_OK(mremap(a, PAGE, PAGE, MREMAP_MAYMOVE));
    SHOW_OK(mremap(a + 4 * PAGE, PAGE, PAGE, 0x100));
    show_read("still there", a, 4 * PAGE);
    SHOW_TRUE(mremap(a + 12 * PAGE, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a) == a);
    show_read("shrunk and moved", a, PAGE);
    show_read("source's tail", a, 14 * PAGE);
    return 0;
}
