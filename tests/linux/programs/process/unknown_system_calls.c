// Numbers that do not exist are ENOSYS, with any arguments.
#include "show.h"

int main(void) {
    SHOW(syscall(1000));
    SHOW(syscall(9999, 1, 2, 3, 4, 5, 6));
    SHOW(syscall(-1));
    SHOW(syscall(0x7fffffff));
    SHOW(syscall(174));
    SHOW(syscall(SYS_getpid) == getpid());
    return 0;
}
