// A buffer whose end is not writable gets the part that fits, or EFAULT when nothing does.
#include "show.h"

int main(void) {
    char big[3 * PAGE];
    memset(big, 'x', sizeof big);
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    MUST(write(fd, big, sizeof big));
    char *pages = guarded_pages(1);
    SHOW(pread(fd, pages + PAGE, 10, 0));
    SHOW(pread(fd, pages, PAGE, 0));
    SHOW_NUMBER(pages[PAGE - 1]);
    SHOW(write(fd, pages + PAGE, 10));
    MUST(mprotect(pages, PAGE, PROT_READ));
    SHOW(pread(fd, pages, 10, 0));
    SHOW(pwrite(fd, pages, 10, 0));
    return 0;
}
