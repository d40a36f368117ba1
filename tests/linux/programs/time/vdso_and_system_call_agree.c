// The vDSO's answers lie between two system calls'.
#include "show.h"

static long ns(struct timespec t) {
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(void) {
    SHOW_TRUE(getauxval(AT_SYSINFO_EHDR) != 0);
    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (int c = 0; c < 3; c++) {
        int wrong = 0;
        for (int i = 0; i < 1000; i++) {
            struct timespec a, b, d;
            MUST(syscall(SYS_clock_gettime, clocks[c], &a));
            MUST(clock_gettime(clocks[c], &b));
            MUST(syscall(SYS_clock_gettime, clocks[c], &d));
            wrong += ns(b) < ns(a) || ns(b) > ns(d);
        }
        say("clock %d: wrong %d", (int)clocks[c], wrong);
    }
    unsigned cpu = 999, node = 999;
    SHOW(syscall(SYS_getcpu, &cpu, &node, NULL));
    SHOW_TRUE(cpu < 4096 && node < 64);
    SHOW_TRUE(sched_getcpu() >= 0);
    return 0;
}
