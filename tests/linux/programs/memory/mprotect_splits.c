// mprotect of parts: every page has exactly the protection it was given last; faults say ACCERR.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *a = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mprotect(a + PAGE, 3 * PAGE, PROT_READ));
    SHOW(mprotect(a + 2 * PAGE, PAGE, PROT_NONE));
    SHOW(mprotect(a + 3 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE));
    for (int i = 0; i < 8; i++) {
        show_read("read", a, i * PAGE);
        show_write("write", a, i * PAGE);
    }
    SHOW(munmap(a + 6 * PAGE, PAGE));
    SHOW(mprotect(a + 5 * PAGE, 3 * PAGE, PROT_READ));
    show_write("write before the hole", a, 5 * PAGE);
    show_write("write behind the hole", a, 7 * PAGE);
    SHOW(mprotect(a + 1, PAGE, PROT_READ));
    SHOW(mprotect(a, 0, PROT_NONE));
    SHOW(mprotect(a, 1, PROT_READ));
    show_write("write", a, PAGE - 1);
    SHOW(mprotect(a, PAGE, 0x100));
    SHOW(mprotect(a + 6 * PAGE, PAGE, PROT_READ));
    return 0;
}
