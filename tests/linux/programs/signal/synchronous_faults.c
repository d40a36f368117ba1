// SIGFPE, SIGILL, SIGTRAP, SIGSEGV by instructions: code and address.
#include "show.h"
#include <setjmp.h>

static sigjmp_buf back;
static char *expected;

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    say("signal %d code %d address %s", number, info->si_code,
        (char *)info->si_addr == expected ? "of the instruction"
        : info->si_addr == NULL           ? "null"
                                          : "other");
    siglongjmp(back, 1);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    int numbers[] = {SIGFPE, SIGILL, SIGTRAP, SIGSEGV, SIGBUS};
    for (int i = 0; i < 5; i++) MUST(sigaction(numbers[i], &action, NULL));
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; xor %%ecx, %%ecx; xor %%edx, %%edx; mov $1, "
                         "%%eax; 1: div %%ecx"
                         : "=m"(expected)::"rax", "rcx", "rdx", "memory");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; 1: ud2" : "=m"(expected)::"rax", "memory");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; int3; 1:" : "=m"(expected)::"rax", "memory");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; 1: hlt" : "=m"(expected)::"rax", "memory");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("movabs $0x8000000000000000, %%rax; mov (%%rax), %%rax" ::: "rax", "memory");
    say("done");
    return 0;
}
