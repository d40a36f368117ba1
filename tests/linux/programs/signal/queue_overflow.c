// RLIMIT_SIGPENDING bounds the real-time queue: EAGAIN.
#include "show.h"
#include <sys/resource.h>

int main(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_SIGPENDING, &limit));
    limit.rlim_cur = 5;
    SHOW(setrlimit(RLIMIT_SIGPENDING, &limit));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    int sent = 0;
    while (sent < 100 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = sent}) == 0) sent++;
    say("%s after %s", errno_name(errno), sent <= 5 ? "few" : "many");
    SHOW(kill(getpid(), SIGUSR1));
    return 0;
}
