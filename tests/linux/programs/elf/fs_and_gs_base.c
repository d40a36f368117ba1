// arch_prctl: fs as set, unknown codes, and bad addresses.
#include "show.h"

int main(void) {
    unsigned long fs = 0, self;
    SHOW(syscall(SYS_arch_prctl, 0x1003, &fs));
    __asm__("mov %%fs:0, %0" : "=r"(self));
    SHOW_TRUE(fs == self && fs != 0);
    SHOW(syscall(SYS_arch_prctl, 0x1002, fs));
    SHOW(syscall(SYS_arch_prctl, 0x1003, bad_pointer()));
    SHOW(syscall(SYS_arch_prctl, 0x9999, 0L));
    SHOW(syscall(SYS_arch_prctl, 0x1002, 1UL << 63));
    return 0;
}
