// Fresh anonymous memory reads as zeros, is page aligned, and is private to what wrote it.
#include "show.h"

int main(void) {
    SHOW_NUMBER(sysconf(_SC_PAGESIZE));
    unsigned char *a = mmap(NULL, 5 * PAGE + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW_TRUE(a != MAP_FAILED);
    SHOW_NUMBER((uintptr_t)a % PAGE);
    long sum = 0;
    for (size_t i = 0; i < 6 * PAGE; i++) sum += a[i];
    SHOW_NUMBER(sum);
    memset(a, 7, 6 * PAGE);
    SHOW(munmap(a, 5 * PAGE + 1));
    a = mmap(a, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    for (size_t i = 0; i < 6 * PAGE; i++) sum += a[i];
    SHOW_NUMBER(sum);
    return 0;
}
