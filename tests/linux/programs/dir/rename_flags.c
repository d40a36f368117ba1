// renameat2: NOREPLACE, EXCHANGE, and combinations that make no sense.
#include "show.h"
#define NOREPLACE 1
#define EXCHANGE 2

static long renameat2_call(const char *from, const char *to, int flags) {
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

int main(void) {
    make_file("a", "A");
    make_file("b", "B");
    MUST(mkdir("d", 0755));
    make_file("d/inner", "I");
    SHOW(renameat2_call("a", "b", NOREPLACE));
    SHOW(renameat2_call("a", "c", NOREPLACE));
    SHOW(renameat2_call("c", "c", NOREPLACE));
    SHOW(renameat2_call("b", "c", EXCHANGE));
    show_content("b");
    show_content("c");
    SHOW(renameat2_call("b", "missing", EXCHANGE));
    SHOW(renameat2_call("missing", "b", EXCHANGE));
    SHOW(renameat2_call("b", "d", EXCHANGE));
    show_path("b");
    show_path("d");
    show_content("b/inner");
    SHOW(renameat2_call("b", "b/inner", EXCHANGE));
    SHOW(renameat2_call("b", "d", NOREPLACE | EXCHANGE));
    SHOW(renameat2_call("b", "d", 0x100));
    SHOW(renameat2_call("c", "d", 0));
    show_content("d");
    return 0;
}
