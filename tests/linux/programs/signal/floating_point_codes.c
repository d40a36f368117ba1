// What a floating-point exception says of itself: x87 and SSE.
#define _GNU_SOURCE
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static sigjmp_buf back;
static volatile int code;

static void on_exception(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    code = info->si_code;
    siglongjmp(back, 1);
}

static volatile double zero = 0, one = 1, huge = 1e308, tiny = 1e-308;
static volatile long double long_zero = 0, long_one = 1;

static void expect(const char *what, unsigned masked_but, int x87, void (*operation)(void)) {
    code = 0;
    if (!sigsetjmp(back, 1)) {
        unsigned mxcsr = 0x1f80 & ~(masked_but << 7);
        unsigned short control = 0x37f & ~masked_but;
        if (x87)
            __asm__ volatile("fnclex; fldcw %0" ::"m"(control));
        else
            __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
        operation();
    }
    unsigned mxcsr = 0x1f80;
    __asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
    printf("%s: %d\n", what, code);
}

static void divide(void) { one = one / zero; }
static void invalid(void) { zero = zero / zero; }
static void overflow(void) { huge = huge * huge; }
static void underflow(void) { tiny = tiny * tiny; }
static void inexact(void) { one = one / 3; }
static void divide_long(void) {
    long_one = long_one / long_zero;
    __asm__ volatile("fwait");
}
static void invalid_long(void) {
    long_zero = long_zero / long_zero;
    __asm__ volatile("fwait");
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_exception, .sa_flags = SA_SIGINFO};
    sigaction(SIGFPE, &action, NULL);
    expect("SSE division by zero", 0x04, 0, divide);
    expect("SSE invalid", 0x01, 0, invalid);
    expect("SSE overflow", 0x08, 0, overflow);
    expect("SSE underflow", 0x10, 0, underflow);
    expect("SSE inexact", 0x20, 0, inexact);
    expect("x87 division by zero", 0x04, 1, divide_long);
    expect("x87 invalid", 0x01, 1, invalid_long);
    return 0;
}
