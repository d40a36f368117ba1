// MADV_DONTNEED: private anonymous memory reads as zeros again, a private file mapping as the file.
#include "show.h"

int main(void) {
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(a, 'x', 4 * PAGE);
    SHOW(madvise(a + PAGE, 2 * PAGE, MADV_DONTNEED));
    for (int i = 0; i < 4; i++) SHOW_NUMBER(a[i * PAGE]);
    make_file("file", "file content");
    int fd = MUST(open("file", O_RDONLY));
    char *f = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    memcpy(f, "FILE", 4);
    show_bytes("changed", f, 12);
    SHOW(madvise(f, PAGE, MADV_DONTNEED));
    show_bytes("dropped", f, 12);
    char *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s[0] = 's';
    SHOW(madvise(s, PAGE, MADV_DONTNEED));
    SHOW_NUMBER(s[0]);
    SHOW(madvise(a + 1, PAGE, MADV_DONTNEED));
    SHOW(madvise(a, 0, MADV_DONTNEED));
    SHOW(madvise(a, PAGE, 9999));
    MUST(munmap(a + PAGE, PAGE));
    a[2 * PAGE] = 'y';
    SHOW(madvise(a, 4 * PAGE, MADV_DONTNEED));
    SHOW_NUMBER(a[0]);
    SHOW_NUMBER(a[2 * PAGE]);
    return 0;
}
