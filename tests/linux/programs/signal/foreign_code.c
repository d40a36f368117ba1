// A jump to a code segment that does not exist, and instructions of 32-bit kernels' calls, end in a signal.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static sigjmp_buf back;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    (void)info;
    siglongjmp(back, signal);
}

int main(void) {
    static char stack[65536] __attribute__((aligned(16)));
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGBUS, &action, NULL);

    int caught = sigsetjmp(back, 1);
    if (!caught)
        __asm__ volatile("push $0x3b; lea 1f(%%rip), %%rax; push %%rax; lretq; 1: ud2" ::: "rax", "memory");
    printf("far return to no segment: %s\n", strsignal(caught));
    // Into 32-bit code, of which there is none here: which signal ends it depends on what lies at the cut address.
    caught = sigsetjmp(back, 1);
    if (!caught)
        __asm__ volatile("push $0x23; lea 1f(%%rip), %%rax; push %%rax; lretq; 1: ud2" ::: "rax", "memory");
    printf("far return to 32-bit code: %s\n", caught ? "caught" : "went on");
    caught = sigsetjmp(back, 1);
    if (!caught)
        __asm__ volatile("sysenter" ::: "rcx", "rdx", "memory");
    printf("sysenter: %s\n", strsignal(caught));
    puts("went on");
    return 0;
}
