// A loop with every general register in use is interrupted a hundred times and never notices.
#include "show.h"
#include <sys/time.h>

static volatile int count;

static void handler(int number) {
    (void)number;
    count++;
}

int main(void) {
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    long bad = 0;
    volatile int *counter = &count;
    __asm__ volatile(
        "mov %1, %%r14\n push %%rbp\n"
        "mov $1, %%rbx\n mov $2, %%rcx\n mov $3, %%rdx\n mov $4, %%rsi\n mov $5, %%rdi\n mov $6, %%r8\n"
        "mov $7, %%r9\n mov $8, %%r10\n mov $9, %%r11\n mov $10, %%r12\n mov $11, %%r13\n mov $12, %%rbp\n"
        "1: cmp $1, %%rbx\n jne 2f\n cmp $2, %%rcx\n jne 2f\n cmp $3, %%rdx\n jne 2f\n cmp $4, %%rsi\n jne "
        "2f\n"
        "cmp $5, %%rdi\n jne 2f\n cmp $6, %%r8\n jne 2f\n cmp $7, %%r9\n jne 2f\n cmp $8, %%r10\n jne 2f\n"
        "cmp $9, %%r11\n jne 2f\n cmp $10, %%r12\n jne 2f\n cmp $11, %%r13\n jne 2f\n cmp $12, %%rbp\n jne "
        "2f\n"
        "cmpl $100, (%%r14)\n jl 1b\n jmp 3f\n2: mov $1, %%eax\n3: pop %%rbp"
        : "+a"(bad)
        : "r"(counter)
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc");
    SHOW_NUMBER(bad);
    return 0;
}
