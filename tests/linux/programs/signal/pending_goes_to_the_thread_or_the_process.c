// A signal sent to a thread is pending there only; one sent to the process is pending for all.
#include "show.h"

static void *look(void *argument) {
    sigset_t pending;
    MUST(sigpending(&pending));
    say("%s: USR1 %d USR2 %d", (char *)argument, sigismember(&pending, SIGUSR1),
        sigismember(&pending, SIGUSR2));
    return NULL;
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    MUST(raise(SIGUSR1));
    MUST(kill(getpid(), SIGUSR2));
    look("main");
    pthread_join(start_thread(look, "thread"), NULL);
    return 0;
}
