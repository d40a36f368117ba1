// FUTEX_REQUEUE and CMP_REQUEUE move waiters to another word.
#include "show.h"

static int from, to;

static void *waiter(void *argument) {
    syscall(SYS_futex, &from, 0 | 128, 0, NULL, NULL, 0);
    return argument;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) threads[i] = start_thread(waiter, NULL);
    sleep_ms(50);
    SHOW(syscall(SYS_futex, &from, 4 | 128, 1, 1L, &to, 77));
    SHOW(syscall(SYS_futex, &from, 4 | 128, 1, 1L, &to, 0));
    SHOW(syscall(SYS_futex, &from, 3 | 128, 0, 10L, &to, 0));
    SHOW(syscall(SYS_futex, &from, 1 | 128, 10, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, &to, 1 | 128, 1, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, &to, 1 | 128, 10, NULL, NULL, 0));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return 0;
}
