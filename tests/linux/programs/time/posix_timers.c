// timer_create: a signal with its value, overruns, gettime, delete; SIGEV_NONE; SIGEV_THREAD.
#include "show.h"

static volatile int value, code;
static volatile sig_atomic_t got;
static int ends[2];

static void handler(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    value = info->si_value.sival_int;
    code = info->si_code;
    got = 1;
}

static void notify(union sigval v) {
    char c = v.sival_int;
    MUST(write(ends[1], &c, 1));
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGUSR1, &action, NULL));
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
    timer_t timer;
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec t = {{0, 0}, {0, 20000000}};
    SHOW(timer_settime(timer, 0, &t, NULL));
    SHOW(timer_gettime(timer, &t));
    SHOW_TRUE(t.it_value.tv_nsec > 0 && t.it_value.tv_nsec <= 20000000);
    while (!got) sleep_ms(1);
    SHOW_NUMBER(value);
    SHOW_TRUE(code == SI_TIMER);
    SHOW(timer_getoverrun(timer));
    SHOW(timer_delete(timer));
    event.sigev_notify = SIGEV_NONE;
    SHOW(timer_create(CLOCK_REALTIME, &event, &timer));
    SHOW(timer_delete(timer));
    event.sigev_notify = 99;
    SHOW(timer_create(CLOCK_REALTIME, &event, &timer));
    MUST(pipe(ends));
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 'T'};
    event.sigev_notify_function = notify;
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
    t = (struct itimerspec){{0, 0}, {0, 10000000}};
    SHOW(timer_settime(timer, 0, &t, NULL));
    char c = 0;
    SHOW(read(ends[0], &c, 1));
    SHOW_NUMBER(c);
    SHOW(timer_delete(timer));
    return 0;
}
