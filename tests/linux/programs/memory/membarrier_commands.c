// membarrier: the query, registering, and what is refused.
#include "show.h"

static long membarrier(int command, unsigned flags, int processor) {
    return syscall(SYS_membarrier, command, flags, processor);
}

int main(void) {
    long query = membarrier(0, 0, 0);
    SHOW_TRUE(query > 0 && (query & 8) && (query & 16));
    SHOW_TRUE((query & (1 | 2 | 4 | 512)) == (1 | 2 | 4 | 512));
    SHOW(membarrier(0, 1, 0));
    SHOW(membarrier(512, 0, 0));
    SHOW(membarrier(8, 0, 0));
    SHOW(membarrier(16, 0, 0));
    SHOW(membarrier(512, 0, 0));
    SHOW(membarrier(8, 0, 0));
    SHOW(membarrier(8, 0, 7));
    SHOW(membarrier(8, 4, 0));
    SHOW(membarrier(1, 0, 0));
    SHOW(membarrier(2, 0, 0));
    SHOW(membarrier(4, 0, 0));
    SHOW(membarrier(512, 0, 0));
    SHOW(membarrier(2, 0, 0));
    SHOW(membarrier(3, 0, 0));
    SHOW(membarrier(-1, 0, 0));
    SHOW(membarrier(1 << 20, 0, 0));
    return 0;
}
