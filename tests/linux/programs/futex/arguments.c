// futex: misaligned and bad addresses, unknown operations, bad times.
#include "show.h"

static long futex(void *at, int operation, int value, void *time, void *second, int third) {
    return syscall(SYS_futex, at, operation, value, time, second, third);
}

int main(void) {
    static int word, other;
    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    SHOW(futex((char *)&word + 1, 0, 0, NULL, NULL, 0));
    SHOW(futex((char *)&word + 1, 1, 1, NULL, NULL, 0));
    SHOW(futex(bad_pointer(), 0, 0, NULL, NULL, 0));
    SHOW(futex(NULL, 0, 0, NULL, NULL, 0));
    SHOW(futex(bad_pointer(), 1 | 128, 1, NULL, NULL, 0));
    SHOW(futex(&word, 99, 0, NULL, NULL, 0));
    SHOW(futex(&word, 0, 0, &bad, NULL, 0));
    SHOW(futex(&word, 0, 0, &negative, NULL, 0));
    SHOW(futex(&word, 0, 0, bad_pointer(), NULL, 0));
    SHOW(futex(&word, 9, 0, NULL, NULL, 0));
    SHOW(futex(&word, 10, 1, NULL, NULL, 0));
    SHOW(futex(&word, 4, 1, (void *)1L, &other, 5));
    SHOW(futex(&word, 3, -1, (void *)1L, &other, 0));
    return 0;
}
