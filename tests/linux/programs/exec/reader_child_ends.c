// Writing to a pipe whose reading child has ended is EPIPE.
#include "show.h"

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        char data[4];
        return (int)read(0, data, 4);
    }
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    MUST(pipe2(ends, O_CLOEXEC));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    char *arguments[] = {"x", "child", NULL}, *environment[] = {NULL};
    pid_t child;
    SHOW_ERROR(posix_spawn(&child, self_path(), &actions, NULL, arguments, environment));
    MUST(close(ends[0]));
    SHOW(write(ends[1], "1234", 4));
    show_child("child", child);
    SHOW(write(ends[1], "5678", 4));
    return 0;
}
