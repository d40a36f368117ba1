// sigaction: what it returns, what it refuses.
#include "show.h"

static void handler(int number) {
    (void)number;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER}, old;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    SHOW(sigaction(SIGUSR1, NULL, &old));
    SHOW_TRUE(old.sa_handler == SIG_DFL);
    SHOW(sigaction(SIGUSR1, &action, &old));
    SHOW(sigaction(SIGUSR1, NULL, &old));
    SHOW_TRUE(old.sa_handler == handler);
    SHOW_TRUE((old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO)) == (SA_RESTART | SA_NODEFER));
    SHOW_TRUE(sigismember(&old.sa_mask, SIGUSR2) == 1 && sigismember(&old.sa_mask, SIGUSR1) == 0);
    SHOW(sigaction(SIGKILL, &action, NULL));
    SHOW(sigaction(SIGSTOP, &action, NULL));
    SHOW(sigaction(SIGKILL, NULL, &old));
    SHOW(sigaction(0, &action, NULL));
    SHOW(sigaction(65, &action, NULL));
    SHOW(sigaction(-1, NULL, &old));
    char raw[64];
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, raw, 4));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, bad_pointer(), NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, bad_pointer(), 8));
    return 0;
}
