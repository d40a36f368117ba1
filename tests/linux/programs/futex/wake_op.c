// FUTEX_WAKE_OP changes the second word and wakes there when the old value fits.
#include "show.h"

static int a, b;

static void *wait_b(void *argument) {
    syscall(SYS_futex, &b, 0 | 128, 5, NULL, NULL, 0);
    return argument;
}

int main(void) {
    b = 5;
    pthread_t thread = start_thread(wait_b, NULL);
    sleep_ms(30);
    // b += 3, and wake on b when it was 4: it was not
    SHOW(syscall(SYS_futex, &a, 5 | 128, 1, 1L, &b, (1 << 28) | (0 << 24) | (3 << 12) | 4));
    SHOW_NUMBER(b);
    // b = 9, and wake on b when it was greater than 7
    SHOW(syscall(SYS_futex, &a, 5 | 128, 1, 1L, &b, (0 << 28) | (4 << 24) | (9 << 12) | 7));
    SHOW_NUMBER(b);
    pthread_join(thread, NULL);
    // b |= 1 << 4
    SHOW(syscall(SYS_futex, &a, 5 | 128, 1, 1L, &b, (int)((10U << 28) | (0 << 24) | (4 << 12) | 0)));
    SHOW_NUMBER(b);
    return 0;
}
