// FUTEX_WAKE_BITSET wakes only waiters whose mask shares a bit.
#include "show.h"

static int word;

static void *waiter(void *mask) {
    syscall(SYS_futex, &word, 9 | 128, 0, NULL, NULL, (int)(intptr_t)mask);
    return NULL;
}

int main(void) {
    pthread_t a = start_thread(waiter, (void *)1), b = start_thread(waiter, (void *)6),
              c = start_thread(waiter, (void *)4);
    sleep_ms(40);
    SHOW(syscall(SYS_futex, &word, 10 | 128, 10, NULL, NULL, 8));
    SHOW(syscall(SYS_futex, &word, 10 | 128, 10, NULL, NULL, 2));
    SHOW(syscall(SYS_futex, &word, 10 | 128, 10, NULL, NULL, 5));
    SHOW(syscall(SYS_futex, &word, 10 | 128, 10, NULL, NULL, -1));
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    pthread_join(c, NULL);
    return 0;
}
