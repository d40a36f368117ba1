// futex_waitv waits on several words and says which was woken.
#include "show.h"
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waiter {
    uint64_t value, address;
    uint32_t flags, reserved;
};

static int words[3];

static void *wake(void *argument) {
    sleep_ms(30);
    syscall(SYS_futex, &words[2], 1 | 128, 1, NULL, NULL, 0);
    return argument;
}

int main(void) {
    struct waiter w[3];
    for (int i = 0; i < 3; i++) w[i] = (struct waiter){0, (uintptr_t)&words[i], 2 | 128, 0};
    pthread_t thread = start_thread(wake, NULL);
    SHOW(syscall(SYS_futex_waitv, w, 3, 0, NULL, 0));
    pthread_join(thread, NULL);
    w[1].value = 1;
    SHOW(syscall(SYS_futex_waitv, w, 3, 0, NULL, 0));
    SHOW(syscall(SYS_futex_waitv, w, 0, 0, NULL, 0));
    SHOW(syscall(SYS_futex_waitv, w, 3, 1, NULL, 0));
    struct timespec t = {0, 0};
    w[1].value = 0;
    SHOW(syscall(SYS_futex_waitv, w, 3, 0, &t, CLOCK_MONOTONIC));
    return 0;
}
