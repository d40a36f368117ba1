// brk: growing gives zeros, shrinking takes them back, growing again gives zeros again.
#include "show.h"
#include "fault.h"

static char *raw_brk(char *to) {
    return (char *)syscall(SYS_brk, to);
}

int main(void) {
    catch_faults();
    char *start = raw_brk(NULL);
    SHOW_TRUE(raw_brk((char *)1) == start);
    char *end = start + 3 * PAGE + 100;
    SHOW_TRUE(raw_brk(end) == end);
    show_write("inside", start, PAGE);
    show_write("last byte", end, -1);
    char *page = (char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1));
    memset(page, 'b', 3 * PAGE);
    SHOW_TRUE(raw_brk(page + PAGE) == page + PAGE);
    show_read("given back", page, PAGE);
    SHOW_TRUE(raw_brk(end) == end);
    show_read("kept", page, 0);
    show_read("again", page, PAGE);
    SHOW_TRUE(raw_brk((char *)(1UL << 60)) == end);
    return 0;
}
