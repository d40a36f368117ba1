// What siginfo says for kill, raise, tgkill and sigqueue.
#include "show.h"

static void handler(int number, siginfo_t *info, void *context) {
    const char *code = info->si_code == SI_USER    ? "SI_USER"
                       : info->si_code == SI_TKILL ? "SI_TKILL"
                       : info->si_code == SI_QUEUE ? "SI_QUEUE"
                                                   : "?";
    say("signal %d = si_signo %d, %s, pid %s, uid %s, errno %d, context %s", number, info->si_signo, code,
        info->si_pid == getpid() ? "own" : "other", info->si_uid == getuid() ? "own" : "other",
        info->si_errno, context ? "given" : "missing");
    if (info->si_code == SI_QUEUE) say("value %d", info->si_value.sival_int);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    MUST(sigaction(SIGRTMIN + 3, &action, NULL));
    SHOW(kill(getpid(), SIGUSR1));
    SHOW(raise(SIGUSR1));
    SHOW(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
    SHOW(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1));
    SHOW(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711}));
    SHOW(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = -5}));
    return 0;
}
