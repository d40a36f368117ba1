// membarrier: the query, private expedited after registration.
#include "show.h"

int main(void) {
    long query = syscall(SYS_membarrier, 0, 0, 0);
    SHOW_TRUE(query > 0 && (query & 8) && (query & 16));
    SHOW(syscall(SYS_membarrier, 16, 0, 0));
    SHOW(syscall(SYS_membarrier, 8, 0, 0));
    SHOW(syscall(SYS_membarrier, 8, 4, 0));
    SHOW(syscall(SYS_membarrier, 1 << 20, 0, 0));
    return 0;
}
