// Blocked signals are pending once; unblocking delivers them; KILL and STOP cannot be blocked.
#include "show.h"

static void handler(int number) {
    say("handler %d", number);
}

static void show_pending(void) {
    sigset_t pending;
    MUST(sigpending(&pending));
    say("pending: USR1 %d USR2 %d", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
}

int main(void) {
    on_signal(SIGUSR1, handler, 0);
    on_signal(SIGUSR2, handler, 0);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGKILL);
    SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
    SHOW(sigprocmask(SIG_BLOCK, NULL, &old));
    say("blocked: USR1 %d KILL %d", sigismember(&old, SIGUSR1), sigismember(&old, SIGKILL));
    for (int i = 0; i < 3; i++) MUST(kill(getpid(), SIGUSR1));
    MUST(raise(SIGUSR2));
    show_pending();
    SHOW(sigprocmask(SIG_UNBLOCK, &set, &old));
    show_pending();
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    MUST(raise(SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    show_pending();
    on_signal(SIGUSR1, handler, 0);
    SHOW(sigprocmask(SIG_SETMASK, &old, NULL));
    SHOW(sigprocmask(99, &set, NULL));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 4));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad_pointer(), NULL, 8));
    SHOW(syscall(SYS_rt_sigpending, bad_pointer(), 8));
    return 0;
}
