// The stack of the first thread grows as far as RLIMIT_STACK says at that moment, as compilers rely on.
#include "show.h"
#include <sys/resource.h>

static long descend(long depth) {
    volatile char page[PAGE];
    page[0] = page[PAGE - 1] = (char)depth;
    return depth == 0 ? page[0] : descend(depth - 1) + (page[PAGE - 1] == (char)depth);
}

int main(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit));
    SHOW_TRUE(limit.rlim_cur <= 8 << 20);
    limit.rlim_cur = 32 << 20;
    SHOW(setrlimit(RLIMIT_STACK, &limit));
    SHOW_NUMBER(descend(24 << 8));
    // Memory that was mapped meanwhile is not in the way.
    char *other = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    other[0] = 1;
    SHOW_NUMBER(descend(28 << 8));
    SHOW_NUMBER(other[0]);
    return 0;
}
