// A handler must not touch the 128 bytes below the stack pointer.
#include "show.h"
#include <sys/time.h>

static volatile int count;

static void handler(int number) {
    char scribble[512];
    memset(scribble, number, sizeof scribble);
    __asm__ volatile("" ::"r"(scribble) : "memory");
    count++;
}

// Keeps a pattern in the red zone and checks it until `count` reaches `until`.
__attribute__((noinline)) static long spin(int until) {
    long bad = 0;
    __asm__ volatile(
        "mov $0x5a5a5a5a5a5a5a5a, %%rax\n"
        "1: mov %%rax, -8(%%rsp)\n mov %%rax, -64(%%rsp)\n mov %%rax, -128(%%rsp)\n"
        "mov $1000, %%ecx\n2: dec %%ecx\n jnz 2b\n"
        "cmp %%rax, -8(%%rsp)\n jne 3f\n cmp %%rax, -64(%%rsp)\n jne 3f\n cmp %%rax, -128(%%rsp)\n jne 3f\n"
        "cmp %1, %2\n jl 1b\n jmp 4f\n3: mov $1, %0\n4:"
        : "+r"(bad)
        : "r"(until), "m"(count)
        : "rax", "rcx", "memory", "cc");
    return bad;
}

int main(void) {
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW_NUMBER(spin(50));
    return 0;
}
