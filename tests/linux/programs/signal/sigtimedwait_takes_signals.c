// sigtimedwait and sigwaitinfo take blocked signals without handlers; time-out is EAGAIN.
#include "show.h"

static pid_t self;

static void *sender(void *argument) {
    (void)argument;
    sleep_ms(20);
    kill(self, SIGUSR2);
    return NULL;
}

int main(void) {
    sigset_t set;
    siginfo_t info;
    self = getpid();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN + 2);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
    struct timespec zero = {0, 0}, some = {0, 20000000}, bad = {0, 1000000000}, long_time = {10, 0};
    SHOW(sigtimedwait(&set, &info, &zero));
    long start = now_ms();
    SHOW(sigtimedwait(&set, &info, &some));
    SHOW_TRUE(now_ms() - start >= 19);
    SHOW(sigtimedwait(&set, &info, &bad));
    MUST(sigqueue(self, SIGRTMIN + 2, (union sigval){.sival_int = 1}));
    MUST(sigqueue(self, SIGRTMIN + 2, (union sigval){.sival_int = 2}));
    MUST(kill(self, SIGUSR1));
    for (int i = 0; i < 3; i++) {
        int number = sigtimedwait(&set, &info, &zero);
        say("%s value %d code %s",
            number == SIGUSR1        ? "USR1"
            : number == SIGRTMIN + 2 ? "RTMIN+2"
                                     : "?",
            number == SIGUSR1 ? 0 : info.si_value.sival_int,
            info.si_code == SI_QUEUE  ? "queue"
            : info.si_code == SI_USER ? "user"
                                      : "?");
    }
    pthread_t thread = start_thread(sender, NULL);
    SHOW(sigtimedwait(&set, &info, &long_time) == SIGUSR2);
    pthread_join(thread, NULL);
    int got = 0;
    MUST(kill(self, SIGUSR1));
    SHOW_ERROR(sigwait(&set, &got));
    SHOW_TRUE(got == SIGUSR1);
    return 0;
}
