// SIGSEGV's si_addr and si_code: MAPERR where nothing is, ACCERR where the protection forbids it.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(mprotect(a, PAGE, PROT_NONE));
    MUST(mprotect(a + PAGE, PAGE, PROT_READ));
    MUST(munmap(a + 2 * PAGE, PAGE));
    show_read("none", a, 17);
    show_write("none", a, 18);
    show_read("read only", a, PAGE + 1);
    show_write("read only", a, PAGE + 1);
    show_read("hole", a, 2 * PAGE + 5);
    show_write("hole", a, 2 * PAGE + 5);
    show_write("writable", a, 3 * PAGE);
    show_read("null", NULL, 0);
    show_read("near null", NULL, 100);
    return 0;
}
