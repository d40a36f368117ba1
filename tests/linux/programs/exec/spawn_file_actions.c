// posix_spawn's file actions and attributes: dup2, open, close, chdir, mask, defaults, group.
#include "show.h"

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        char data[16] = "";
        SHOW(read(0, data, 5));
        show_bytes("stdin", data, 5);
        SHOW(fcntl(40, F_GETFD));
        SHOW(fcntl(41, F_GETFD));
        sigset_t mask;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        SHOW_NUMBER(sigismember(&mask, SIGUSR1));
        struct sigaction a;
        sigaction(SIGUSR2, NULL, &a);
        SHOW_TRUE(a.sa_handler == SIG_DFL);
        SHOW_TRUE(getpgid(0) == getpid());
        return 0;
    }
    make_file("file", "input for the child");
    signal(SIGUSR2, SIG_IGN);
    MUST(dup2(1, 40));
    MUST(dup2(1, 41));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "file", O_RDONLY, 0);
    posix_spawn_file_actions_addclose(&actions, 40);
    posix_spawn_file_actions_adddup2(&actions, 41, 41);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t mask, defaults;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGUSR2);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    char *arguments[] = {"x", "child", NULL}, *environment[] = {NULL};
    pid_t child;
    int error = posix_spawn(&child, self_path(), &actions, &attributes, arguments, environment);
    show_child("child", child);
    SHOW_ERROR(error);
    SHOW(fcntl(40, F_GETFD));
    posix_spawn_file_actions_addopen(&actions, 0, "missing", O_RDONLY, 0);
    SHOW_ERROR(posix_spawn(&child, self_path(), &actions, &attributes, arguments, environment));
    return 0;
}
