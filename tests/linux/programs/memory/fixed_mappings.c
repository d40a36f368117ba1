// MAP_FIXED replaces, MAP_FIXED_NOREPLACE refuses, a hint is taken when it is free.
#include "show.h"
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static char *map(void *at, size_t pages, int flags) {
    return mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

int main(void) {
    char *a = map(NULL, 8, 0);
    memset(a, 'a', 8 * PAGE);
    SHOW_TRUE(map(a + 2 * PAGE, 2, MAP_FIXED) == a + 2 * PAGE);
    for (int i = 0; i < 8; i++) say("page %d: %d", i, a[i * PAGE]);
    SHOW_TRUE(map(a + 4 * PAGE, 1, MAP_FIXED_NOREPLACE) == MAP_FAILED);
    say("%s", errno_name(errno));
    SHOW(munmap(a + 4 * PAGE, 2 * PAGE));
    SHOW_TRUE(map(a + 4 * PAGE, 2, MAP_FIXED_NOREPLACE) == a + 4 * PAGE);
    SHOW(munmap(a + 4 * PAGE, 2 * PAGE));
    SHOW_TRUE(map(a + 4 * PAGE, 2, 0) == a + 4 * PAGE);
    char *elsewhere = map(a + 1 * PAGE, 1, 0);
    SHOW_TRUE(elsewhere != MAP_FAILED && (elsewhere < a || elsewhere >= a + 8 * PAGE));
    SHOW_TRUE(map(a + 1, 1, MAP_FIXED) == MAP_FAILED);
    say("%s", errno_name(errno));
    SHOW_TRUE(map((void *)-PAGE, 1, MAP_FIXED) == MAP_FAILED);
    say("%s", errno_name(errno));
    return 0;
}
