// Advice that changes no contents.
#include "show.h"

int main(void) {
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(a, 'x', 4 * PAGE);
    SHOW(madvise(a, 4 * PAGE, MADV_NORMAL));
    SHOW(madvise(a, 4 * PAGE, MADV_RANDOM));
    SHOW(madvise(a, 4 * PAGE, MADV_SEQUENTIAL));
    SHOW(madvise(a, 4 * PAGE, MADV_WILLNEED));
    SHOW(madvise(a, 4 * PAGE, MADV_DONTFORK));
    SHOW(madvise(a, 4 * PAGE, MADV_DOFORK));
    SHOW(madvise(a, 4 * PAGE, MADV_DONTDUMP));
    SHOW_ERROR(posix_madvise(a, 4 * PAGE, POSIX_MADV_DONTNEED));
    int changed = 0;
    for (int i = 0; i < 4; i++) changed += a[i * PAGE] != 'x';
    SHOW_NUMBER(changed);
    MUST(munmap(a, 4 * PAGE));
    SHOW(madvise(a, 4 * PAGE, MADV_NORMAL));
    return 0;
}
