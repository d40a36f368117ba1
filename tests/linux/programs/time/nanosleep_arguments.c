// nanosleep and clock_nanosleep: durations, absolute times, refusals.
#include "show.h"

int main(void) {
    struct timespec t = {0, 30000000}, rest = {7, 7};
    long start = now_ms();
    SHOW(nanosleep(&t, &rest));
    SHOW_TRUE(now_ms() - start >= 30);
    say("%ld", (long)rest.tv_sec);
    t = (struct timespec){0, 1000000000};
    SHOW(nanosleep(&t, NULL));
    t = (struct timespec){0, -1};
    SHOW(nanosleep(&t, NULL));
    t = (struct timespec){-1, 0};
    SHOW(nanosleep(&t, NULL));
    SHOW(nanosleep(bad_pointer(), NULL));
    t = (struct timespec){0, 0};
    SHOW(nanosleep(&t, NULL));
    clock_gettime(CLOCK_MONOTONIC, &t);
    start = now_ms();
    t.tv_nsec += 30000000;
    if (t.tv_nsec > 999999999) t.tv_sec++, t.tv_nsec -= 1000000000;
    SHOW_ERROR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    SHOW_TRUE(now_ms() - start >= 29);
    SHOW_ERROR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    clock_gettime(CLOCK_REALTIME, &t);
    SHOW_ERROR(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
    SHOW_ERROR(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
    SHOW_ERROR(clock_nanosleep(99, 0, &t, NULL));
    return 0;
}
