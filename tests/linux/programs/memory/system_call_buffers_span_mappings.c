// One system call's buffer over several mappings with different protections.
#include "show.h"

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    char *a = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 6; i++) memset(a + i * PAGE, 'a' + i, PAGE);
    char *shared =
        mmap(a + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(shared, 'S', PAGE);
    MUST(mprotect(a + 3 * PAGE, PAGE, PROT_READ));
    SHOW(pwrite(fd, a + 10, 4 * PAGE, 0));
    SHOW(pread(fd, a, 3 * PAGE, 5));
    SHOW_NUMBER(a[2 * PAGE]);
    SHOW_TRUE(pread(fd, a + 2 * PAGE, 2 * PAGE, 0) <= (long)PAGE);
    MUST(munmap(a + 5 * PAGE, PAGE));
    SHOW_TRUE(pwrite(fd, a + 4 * PAGE, 2 * PAGE, 0) <= (long)PAGE);
    SHOW(pwrite(fd, a + 5 * PAGE, PAGE, 0));
    return 0;
}
