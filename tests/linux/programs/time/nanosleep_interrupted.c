// A handler ends nanosleep with EINTR and the rest; an absolute sleep leaves the rest alone.
#include "show.h"
#include <sys/time.h>

static void handler(int number) {
    (void)number;
}

int main(void) {
    on_signal(SIGALRM, handler, SA_RESTART);
    struct itimerval soon = {{0, 0}, {0, 20000}};
    struct timespec t = {10, 0}, rest = {0, 0};
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    SHOW(nanosleep(&t, &rest));
    SHOW_TRUE(rest.tv_sec == 9 && rest.tv_nsec > 500000000);
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    rest = (struct timespec){0, 0};
    SHOW_ERROR(clock_nanosleep(CLOCK_REALTIME, 0, &t, &rest));
    SHOW_TRUE(rest.tv_sec == 9);
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += 10;
    rest = (struct timespec){77, 0};
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    SHOW_ERROR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, &rest));
    SHOW_NUMBER(rest.tv_sec);
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    SHOW_NUMBER(sleep(10) >= 9);
    return 0;
}
