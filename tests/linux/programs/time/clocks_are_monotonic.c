// The clocks: no step back, agreeing with each other, resolution, unknown ones.
#include "show.h"
#include <sys/time.h>

int main(void) {
    clockid_t clocks[] = {CLOCK_REALTIME,          CLOCK_MONOTONIC,     CLOCK_PROCESS_CPUTIME_ID,
                          CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                          CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME};
    for (int c = 0; c < 8; c++) {
        struct timespec last, now;
        MUST(clock_gettime(clocks[c], &last));
        int back = 0;
        for (int i = 0; i < 20000; i++) {
            MUST(clock_gettime(clocks[c], &now));
            back += now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec);
            back += now.tv_nsec < 0 || now.tv_nsec > 999999999;
            last = now;
        }
        say("clock %d: steps back %d", (int)clocks[c], back);
    }
    struct timespec t;
    SHOW(clock_getres(CLOCK_MONOTONIC, &t));
    say("%ld.%09ld", (long)t.tv_sec, t.tv_nsec);
    SHOW(clock_gettime(99, &t));
    SHOW(clock_getres(99, &t));
    SHOW(syscall(SYS_clock_gettime, CLOCK_REALTIME, bad_pointer()));
    struct timeval tv;
    MUST(gettimeofday(&tv, NULL));
    MUST(clock_gettime(CLOCK_REALTIME, &t));
    long apart = t.tv_sec * 1000000 + t.tv_nsec / 1000 - (tv.tv_sec * 1000000 + tv.tv_usec);
    SHOW_TRUE(apart >= 0 && apart < 1000000);
    SHOW_TRUE(labs(time(NULL) - t.tv_sec) <= 1);
    return 0;
}
