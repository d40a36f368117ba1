// Several pending signals at once: the order in which their handlers run, and real-time ones queue.
#include "show.h"

static int order[64], values[64], n;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    values[n] = info->si_value.sival_int;
    order[n++] = number;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigset_t all, old;
    sigfillset(&all);
    sigfillset(&action.sa_mask);
    int numbers[] = {SIGUSR2, SIGRTMIN + 5, SIGHUP, SIGRTMIN + 1, SIGTERM, SIGUSR1};
    for (int i = 0; i < 6; i++) MUST(sigaction(numbers[i], &action, NULL));
    MUST(sigprocmask(SIG_SETMASK, &all, &old));
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 3; k++)
            MUST(sigqueue(getpid(), numbers[i], (union sigval){.sival_int = 10 * i + k}));
    MUST(sigprocmask(SIG_SETMASK, &old, NULL));
    for (int i = 0; i < n; i++)
        say("%d value %d", order[i] >= SIGRTMIN ? 1000 + order[i] - SIGRTMIN : order[i], values[i]);
    return 0;
}
