// sigsuspend runs the handler under its mask, returns EINTR and puts the old mask back.
#include "show.h"

static bool is_blocked(int number) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, number);
}

static void handler(int number) {
    say("handler %d, USR2 blocked: %d, USR1 blocked: %d", number, is_blocked(SIGUSR2), is_blocked(SIGUSR1));
}

int main(void) {
    on_signal(SIGUSR1, handler, 0);
    sigset_t block, wait;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigemptyset(&wait);
    sigaddset(&wait, SIGUSR2);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    MUST(raise(SIGUSR1));
    SHOW(sigsuspend(&wait));
    say("USR1 blocked: %d, USR2 blocked: %d", is_blocked(SIGUSR1), is_blocked(SIGUSR2));
    SHOW(syscall(SYS_rt_sigsuspend, &wait, 4));
    SHOW(syscall(SYS_rt_sigsuspend, bad_pointer(), 8));
    return 0;
}
