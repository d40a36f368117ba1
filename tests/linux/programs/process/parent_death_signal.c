// PR_SET_PDEATHSIG in a grandchild fires when its parent ends.
#include "show.h"
#include <sys/prctl.h>

int main(int argc, char **argv) {
    (void)argv;
    if (argc == 3) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
        MUST(write(61, "r", 1));
        for (;;) pause();
    }
    if (argc == 2) {
        char c;
        spawn_self("x", "y");
        MUST(read(60, &c, 1));
        return 3;
    }
    int ready[2], gone[2];
    MUST(pipe2(ready, O_CLOEXEC));
    MUST(pipe2(gone, O_CLOEXEC));
    MUST(dup2(ready[0], 60));
    MUST(dup2(ready[1], 61));
    MUST(dup2(gone[1], 62));
    pid_t child = spawn_self("x", NULL);
    MUST(close(62));
    MUST(close(gone[1]));
    show_child("child", child);
    char c;
    SHOW(read(gone[0], &c, 1));
    return 0;
}
