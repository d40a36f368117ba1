// A child that starts a child: parents' ids; an orphan is not the grandparent's to wait for.
#include "show.h"

int main(int argc, char **argv) {
    if (argc == 3) {
        SHOW_TRUE(getppid() == atoi(argv[2]));
        return 4;
    }
    if (argc == 2) {
        char pid[16];
        snprintf(pid, sizeof pid, "%d", getpid());
        SHOW_TRUE(getppid() == atoi(argv[1]));
        show_child("grandchild", spawn_self("x", pid));
        return 5;
    }
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    show_child("child", spawn_self(pid, NULL));
    SHOW(waitpid(-1, NULL, 0));
    return 0;
}
