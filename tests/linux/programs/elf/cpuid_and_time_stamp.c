// cpuid, rdtsc and rdtscp work and make sense.
#include "show.h"
#include <cpuid.h>

int main(void) {
    unsigned a, b, c, d, aux;
    SHOW_TRUE(__get_cpuid(0, &a, &b, &c, &d) == 1 && a >= 7);
    __cpuid(1, a, b, c, d);
    SHOW_TRUE((d & bit_SSE2) && (c & bit_SSSE3));
    unsigned long first, second;
    __asm__ volatile("rdtsc; shl $32, %%rdx; or %%rdx, %%rax" : "=a"(first)::"rdx");
    sleep_ms(2);
    __asm__ volatile("rdtscp; shl $32, %%rdx; or %%rdx, %%rax" : "=a"(second), "=c"(aux)::"rdx");
    SHOW_TRUE(second > first);
    __cpuid(1, a, b, c, d);
    if (c & bit_OSXSAVE) {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        SHOW_NUMBER(low & 3);
    } else {
        SHOW_NUMBER(3);
    }
    return 0;
}
