// A system call keeps every register but rax, rcx and r11; these two hold the return address and the flags.
#include "show.h"

unsigned long registers_in[11], registers_out[13], return_address;

// Loads rbx rdx rsi rdi r8 r9 r10 r12 r13 r14 rbp, calls getpid, and stores them, then rcx and r11.
void call_with_registers(void);
__asm__(".globl call_with_registers\n"
        "call_with_registers:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov registers_in@GOTPCREL(%rip), %r15\n"
        "mov (%r15), %rbx; mov 8(%r15), %rdx; mov 16(%r15), %rsi; mov 24(%r15), %rdi; mov 32(%r15), %r8\n"
        "mov 40(%r15), %r9; mov 48(%r15), %r10; mov 56(%r15), %r12; mov 64(%r15), %r13; mov 72(%r15), %r14\n"
        "mov 80(%r15), %rbp\n"
        "mov $39, %eax\n"
        "syscall\n"
        "1: mov registers_out@GOTPCREL(%rip), %r15\n"
        "mov %rbx, (%r15); mov %rdx, 8(%r15); mov %rsi, 16(%r15); mov %rdi, 24(%r15); mov %r8, 32(%r15)\n"
        "mov %r9, 40(%r15); mov %r10, 48(%r15); mov %r12, 56(%r15); mov %r13, 64(%r15); mov %r14, 72(%r15)\n"
        "mov %rbp, 80(%r15); mov %rcx, 88(%r15); mov %r11, 96(%r15)\n"
        "lea 1b(%rip), %rdx\n"
        "mov return_address@GOTPCREL(%rip), %r15\n"
        "mov %rdx, (%r15)\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

int main(void) {
    for (int i = 0; i < 11; i++) registers_in[i] = 0x1111111111111111UL * (i + 1);
    call_with_registers();
    for (int i = 0; i < 11; i++) say("register %d: %lx", i, registers_out[i]);
    SHOW_TRUE(registers_out[11] == return_address);
    SHOW_TRUE((registers_out[12] & 2) == 2);
    SHOW_TRUE((registers_out[12] & 0x400) == 0);
    return 0;
}
