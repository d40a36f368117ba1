// The ucontext of a fault has every general register, the flags, and the fault's own fields.
#include "show.h"
#include <ucontext.h>

static void handler(int number, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    (void)number;
    static const int registers[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_R8,
                                    REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (int i = 0; i < 14; i++)
        say("register %d: %llx", i, (unsigned long long)c->uc_mcontext.gregs[registers[i]]);
    say("carry %lld, trap %lld, error %#llx, cr2 %s", (long long)c->uc_mcontext.gregs[REG_EFL] & 1,
        (long long)c->uc_mcontext.gregs[REG_TRAPNO], (long long)c->uc_mcontext.gregs[REG_ERR],
        (void *)c->uc_mcontext.gregs[REG_CR2] == info->si_addr ? "the address" : "other");
    SHOW_TRUE(c->uc_mcontext.fpregs != NULL);
    _exit(0);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL));
    __asm__ volatile(
        "mov $0x101, %%rbx; mov $0x102, %%rcx; mov $0x103, %%rdx; mov $0x104, %%rsi; mov $0x105, %%rdi\n"
        "mov $0x106, %%r8; mov $0x107, %%r9; mov $0x108, %%r10; mov $0x109, %%r11; mov $0x10a, %%r12\n"
        "mov $0x10b, %%r13; mov $0x10c, %%r14; mov $0x10d, %%r15; stc; mov $16, %%rax; movb $1, (%%rax)" ::
            : "memory");
    return 1;
}
