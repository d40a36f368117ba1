// vfork: the child runs first, its exec or _exit lets the parent go on.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) return atoi(argv[1]);
    static volatile int shared;
    char *arguments[] = {"x", "12", NULL};
    pid_t child = vfork();
    if (child == 0) {
        shared = 1;
        execv(self_path(), arguments);
        _exit(99);
    }
    SHOW_NUMBER(shared);
    show_child("exec", child);
    child = vfork();
    if (child == 0) {
        shared = 2;
        _exit(34);
    }
    SHOW_NUMBER(shared);
    show_child("_exit", child);
    child = vfork();
    if (child == 0) {
        execv("/no/such/file", arguments);
        _exit(errno == ENOENT ? 56 : 57);
    }
    show_child("failed exec", child);
    SHOW(waitpid(-1, NULL, 0));
    return 0;
}
