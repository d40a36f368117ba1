// SIG_IGN: nothing happens, nothing is pending, sleeping calls are not disturbed.
#include "show.h"
#include <sys/time.h>

int main(void) {
    signal(SIGALRM, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    struct itimerval soon = {{0, 0}, {0, 10000}};
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    struct timespec t = {0, 40000000};
    long start = now_ms();
    SHOW(nanosleep(&t, NULL));
    SHOW_TRUE(now_ms() - start >= 40);
    raise(SIGUSR1);
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    raise(SIGUSR1);
    MUST(sigpending(&pending));
    SHOW_NUMBER(sigismember(&pending, SIGUSR1));
    return 0;
}
