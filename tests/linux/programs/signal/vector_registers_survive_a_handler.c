// xmm and ymm registers keep their values over a handler that scribbles on all of them.
//: flags -mavx
#include "show.h"

static void handler(int number) {
    (void)number;
    __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n vmovdqa %%ymm0, %%ymm1\n vmovdqa %%ymm0, %%ymm7\n "
                     "vmovdqa %%ymm0, %%ymm8\n"
                     "vmovdqa %%ymm0, %%ymm15" ::
                         : "xmm0", "xmm1", "xmm7", "xmm8", "xmm15");
}

int main(void) {
    on_signal(SIGUSR1, handler, 0);
    unsigned char in[5][32], out[5][32];
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 32; k++) in[i][k] = i * 32 + k;
    long number = SYS_tkill, self = syscall(SYS_gettid);
    __asm__ volatile(
        "vmovdqu (%1), %%ymm0\n vmovdqu 32(%1), %%ymm1\n vmovdqu 64(%1), %%ymm7\n vmovdqu 96(%1), %%ymm8\n"
        "vmovdqu 128(%1), %%ymm15\n syscall\n vmovdqu %%ymm0, (%2)\n vmovdqu %%ymm1, 32(%2)\n vmovdqu "
        "%%ymm7, 64(%2)\n"
        "vmovdqu %%ymm8, 96(%2)\n vmovdqu %%ymm15, 128(%2)"
        : "+a"(number)
        : "r"(in), "r"(out), "D"(self), "S"((long)SIGUSR1)
        : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm7", "xmm8", "xmm15");
    SHOW_NUMBER(number);
    SHOW_NUMBER(memcmp(in, out, sizeof in));
    return 0;
}
