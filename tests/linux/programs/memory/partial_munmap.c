// munmap of the middle splits a mapping; of holes succeeds; of unaligned addresses fails.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *a = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(a, 'x', 10 * PAGE);
    SHOW(munmap(a + 3 * PAGE, 2 * PAGE));
    SHOW(munmap(a + 9 * PAGE, 1));
    SHOW(munmap(a, PAGE));
    for (int i = 0; i < 10; i++) show_read("page", a, i * PAGE);
    SHOW(munmap(a + 3 * PAGE, 2 * PAGE));
    SHOW(munmap(a + 2 * PAGE, 4 * PAGE));
    SHOW(munmap(a + 1, PAGE));
    SHOW(munmap(a, 0));
    SHOW(munmap((void *)-PAGE, 2 * PAGE));
    for (int i = 0; i < 10; i++) show_read("page", a, i * PAGE);
    return 0;
}
