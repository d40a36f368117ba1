// Deep recursion: the stack grows on demand to megabytes.
#include "show.h"

__attribute__((noinline)) static long deep(int n) {
    volatile char frame[1000];
    frame[0] = n;
    frame[999] = 1;
    return n == 0 ? 0 : deep(n - 1) + frame[999];
}

int main(void) {
    SHOW_NUMBER(deep(5000));
    return 0;
}
