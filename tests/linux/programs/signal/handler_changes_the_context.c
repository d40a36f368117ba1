// A handler that edits the saved registers: skips a faulting instruction, sets a register, changes the mask.
//: flags -Wno-unused-but-set-variable
#include "show.h"
#include <ucontext.h>

static void handler(int number, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    (void)number;
    (void)info;
    say("rax %llx rbx %llx", (unsigned long long)c->uc_mcontext.gregs[REG_RAX],
        (unsigned long long)c->uc_mcontext.gregs[REG_RBX]);
    c->uc_mcontext.gregs[REG_RIP] += 2;
    c->uc_mcontext.gregs[REG_RBX] = 0x1234567890abcdef;
    sigaddset(&c->uc_sigmask, SIGUSR2);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGILL, &action, NULL));
    unsigned long b;
    __asm__ volatile("mov $0x42, %%rax; mov $0x43, %%rbx; ud2; mov %%rbx, %0"
                     : "=r"(b)::"rax", "rbx", "memory");
    say("%lx", b);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    SHOW_NUMBER(sigismember(&now, SIGUSR2));
    SHOW_NUMBER(sigismember(&now, SIGILL));
    return 0;
}
