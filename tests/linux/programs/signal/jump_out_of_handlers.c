// siglongjmp out of a handler, many times: mask restored, no stack leaked.
#include "show.h"
#include <setjmp.h>

static sigjmp_buf back;

static void handler(int number) {
    siglongjmp(back, number);
}

int main(void) {
    on_signal(SIGUSR1, handler, 0);
    on_signal(SIGSEGV, handler, 0);
    volatile int jumps = 0;
    for (volatile int i = 0; i < 20000; i++) {
        if (sigsetjmp(back, 1) == 0) {
            if (i % 2) raise(SIGUSR1);
            else *(volatile char *)bad_pointer() = 1;
        } else {
            jumps++;
        }
    }
    SHOW_NUMBER(jumps);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    SHOW_NUMBER(sigismember(&now, SIGUSR1));
    SHOW_NUMBER(sigismember(&now, SIGSEGV));
    return 0;
}
