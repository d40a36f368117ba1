// rseq: a C library that registered it owns it; wrong sizes and flags are refused.
#include "show.h"

int main(void) {
    static char area[32] __attribute__((aligned(32)));
    SHOW(syscall(SYS_rseq, area, 16, 0, 0x53053053));
    SHOW(syscall(SYS_rseq, area, 32, 77, 0x53053053));
    SHOW(syscall(SYS_rseq, area + 1, 32, 0, 0x53053053));
    return 0;
}
