// x87 and MXCSR modes are the program's after a handler that changed them.
#include "show.h"

static void handler(int number) {
    unsigned mxcsr = 0x7f80;
    unsigned short control = 0x0f7f;
    (void)number;
    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
}

int main(void) {
    on_signal(SIGUSR1, handler, 0);
    unsigned mxcsr = 0x3f80, got = 0;
    unsigned short control = 0x037f, got_control = 0;
    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
    raise(SIGUSR1);
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(got), "=m"(got_control));
    say("%#x %#x", got, got_control);
    long double pi;
    __asm__ volatile("fldpi; fstpt %0" : "=m"(pi));
    say("%.15Lf", pi);
    return 0;
}
