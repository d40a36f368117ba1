// The registers at the first instruction: rsp aligned, flags, mxcsr and x87 control as the ABI says.
//: only static
//: flags -nostartfiles
#include "show.h"

__asm__(".globl _start\n"
        "_start:\n"
        "mov %rsp, %rdi\n"
        "mov %rdx, %rsi\n"
        "pushf\n"
        "pop %rdx\n"
        "mov %rbp, %rcx\n"
        "and $-16, %rsp\n"
        "call first_function\n");

// Leaves the C library alone, which nobody has started.
static void put(const char *what, unsigned long value) {
    char line[80];
    long n = 0;
    while (*what) line[n++] = *what++;
    for (int shift = 28; shift >= 0; shift -= 4) line[n++] = "0123456789abcdef"[value >> shift & 15];
    line[n++] = '\n';
    long number = SYS_write;
    __asm__ volatile("syscall" : "+a"(number) : "D"(1L), "S"(line), "d"(n) : "rcx", "r11", "memory");
}

__attribute__((used, noreturn)) void first_function(unsigned long *stack, unsigned long rdx,
                                                    unsigned long flags, unsigned long rbp) {
    unsigned mxcsr;
    unsigned short control;
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
    put("rsp % 16: ", (unsigned long)stack % 16);
    put("argc: ", stack[0]);
    put("rdx: ", rdx);
    put("rbp: ", rbp);
    put("direction flag: ", flags >> 10 & 1);
    put("mxcsr: ", mxcsr);
    put("x87 control: ", control);
    for (;;) __asm__ volatile("syscall" ::"a"((long)SYS_exit_group), "D"(0L) : "rcx", "r11", "memory");
}
