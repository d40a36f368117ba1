// CPU clocks move with work and hardly with sleep; getrusage and times agree roughly.
#include "show.h"
#include <sys/resource.h>
#include <sys/times.h>

static double cpu(clockid_t clock) {
    struct timespec t;
    MUST(clock_gettime(clock, &t));
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(void) {
    double start = cpu(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(50);
    SHOW_TRUE(cpu(CLOCK_PROCESS_CPUTIME_ID) - start < 0.04);
    volatile long x = 0;
    start = cpu(CLOCK_PROCESS_CPUTIME_ID);
    while (cpu(CLOCK_PROCESS_CPUTIME_ID) - start < 0.05) x++;
    say("worked");
    struct rusage usage;
    SHOW(getrusage(RUSAGE_SELF, &usage));
    SHOW_TRUE(usage.ru_utime.tv_sec + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 0);
    SHOW_TRUE(usage.ru_maxrss > 0);
    SHOW(getrusage(RUSAGE_CHILDREN, &usage));
    SHOW_NUMBER(usage.ru_utime.tv_sec);
    SHOW(getrusage(RUSAGE_THREAD, &usage));
    SHOW(syscall(SYS_getrusage, 77, &usage));
    SHOW(getrusage(RUSAGE_SELF, bad_pointer()));
    struct tms t;
    SHOW_TRUE(times(&t) > 0);
    SHOW_TRUE(t.tms_utime + t.tms_stime >= 3);
    SHOW_TRUE(clock() >= 50000);
    return 0;
}
