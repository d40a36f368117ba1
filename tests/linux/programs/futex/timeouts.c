// Relative FUTEX_WAIT, absolute FUTEX_WAIT_BITSET on both clocks: ETIMEDOUT, not early.
#include "show.h"

static int word;

static void wait_until(clockid_t clock, int flags) {
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += 25000000;
    if (t.tv_nsec > 999999999) t.tv_sec++, t.tv_nsec -= 1000000000;
    long start = now_ms();
    SHOW(syscall(SYS_futex, &word, 9 | flags, 0, &t, NULL, -1));
    SHOW_TRUE(now_ms() - start >= 24);
}

int main(void) {
    struct timespec t = {0, 25000000};
    long start = now_ms();
    SHOW(syscall(SYS_futex, &word, 0 | 128, 0, &t, NULL, 0));
    SHOW_TRUE(now_ms() - start >= 25);
    wait_until(CLOCK_MONOTONIC, 128);
    wait_until(CLOCK_REALTIME, 128 | 256);
    t = (struct timespec){0, 0};
    SHOW(syscall(SYS_futex, &word, 0 | 128, 0, &t, NULL, 0));
    SHOW(syscall(SYS_futex, &word, 9 | 128, 0, &t, NULL, -1));
    SHOW(syscall(SYS_futex, &word, 9 | 128, 1, &t, NULL, -1));
    return 0;
}
