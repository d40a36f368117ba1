// kill, tkill, tgkill: which numbers and targets are refused.
#include "show.h"

int main(void) {
    SHOW(kill(getpid(), 0));
    SHOW(kill(0, 0));
    SHOW(kill(getpid(), 65));
    SHOW(kill(getpid(), -1));
    SHOW(kill(999999999, 0));
    SHOW(kill(-999999999, 0));
    SHOW(kill(getpid(), SIGURG));
    SHOW(kill(getpid(), SIGCHLD));
    SHOW(kill(getpid(), SIGCONT));
    SHOW(kill(getpid(), SIGWINCH));
    SHOW(syscall(SYS_tgkill, getpid(), 999999999, SIGUSR1));
    SHOW(syscall(SYS_tgkill, 999999999, getpid(), SIGUSR1));
    SHOW(syscall(SYS_tgkill, getpid(), 0, 0));
    SHOW(syscall(SYS_tgkill, -1, getpid(), 0));
    SHOW(syscall(SYS_tkill, -1, 0));
    SHOW(syscall(SYS_tkill, getpid(), 99));
    SHOW(syscall(SYS_tgkill, getpid(), getpid(), 0));
    return 0;
}
