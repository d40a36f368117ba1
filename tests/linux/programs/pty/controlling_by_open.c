// The first terminal that a new session's leader opens controls it, unless the leader says otherwise; its end makes it free.
#include "terminal.h"

static int child(const char *mode) {
    pid_t group = -1;
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
    say("%s: /dev/tty %s", mode, tty < 0 ? errno_name(errno) : "is there");
    if (tty < 0) return 1;
    SHOW_TRUE(ioctl(tty, TIOCGPGRP, &group) == 0 && group == getpgrp());
    SHOW(ioctl(tty, TIOCNOTTY));
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(isatty(0));
    SHOW(ioctl(0, TIOCSCTTY, 0));
    return 0;
}

static void start(const char *name, int flags, char *mode) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR | flags, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    extern char **environ;
    char *arguments[] = {(char *)self_path(), mode, NULL};
    pid_t pid;
    int error = posix_spawn(&pid, self_path(), &actions, &attributes, arguments, environ);
    if (error) must("posix_spawn", -1, error);
    show_child(mode, pid);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        on_signal(SIGHUP, SIG_IGN, 0);
        return child(argv[1]);
    }
    int master, slave;
    char name[64];
    open_pair(&master, &slave);
    strcpy(name, ptsname(master));
    start(name, O_NOCTTY, "not asked for");
    start(name, 0, "by open");
    // The leader is gone, but nothing is cut off.
    SHOW(write(slave, "x", 1));
    MUST(close(slave));
    start(name, 0, "again");
    return 0;
}
