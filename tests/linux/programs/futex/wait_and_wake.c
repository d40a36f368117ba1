// FUTEX_WAIT: EAGAIN when the value differs; FUTEX_WAKE counts whom it woke.
#include "show.h"

static int word;

static long futex(int *at, int operation, int value) {
    return syscall(SYS_futex, at, operation, value, NULL, NULL, 0);
}

static void *waiter(void *argument) {
    return (void *)(futex(&word, 0 | 128, 0) == 0 ? argument : NULL);
}

int main(void) {
    SHOW(futex(&word, 0, 1));
    SHOW(futex(&word, 1, 10));
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) threads[i] = start_thread(waiter, (void *)1);
    sleep_ms(40);
    SHOW(futex(&word, 1 | 128, 1));
    SHOW(futex(&word, 1 | 128, 10));
    SHOW(futex(&word, 1 | 128, 10));
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        SHOW_TRUE(result != NULL);
    }
    return 0;
}
