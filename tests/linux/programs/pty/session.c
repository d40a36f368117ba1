// A session leader on a pseudo-terminal: /dev/tty, signals from the keyboard, window changes, job control, the hang-up.
#define _GNU_SOURCE
#include "terminal.h"

static volatile sig_atomic_t seen[65];

static void note(int number) {
    seen[number]++;
}

static void wait_for(int number) {
    for (int i = 0; i < 500 && !seen[number]; i++) sleep_ms(10);
    say("child: signal %d: %s", number, seen[number] ? "came" : "did not come");
    seen[number] = 0;
}

// The two talk in lines over the terminal itself.
static void hear(const char *what) {
    char data[100];
    for (;;) {
        long n = read(0, data, sizeof data);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) show_error(what, errno);
        else show_bytes(what, data, n);
        return;
    }
}

static int child(int out) {
    int terminal = MUST(dup(0)), tty;
    pid_t group = -1;
    // What is shown goes to the test's output, not to the terminal.
    MUST(dup2(out, 1));
    SHOW(isatty(0));
    SHOW_TRUE(getsid(0) == getpid());
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(ioctl(0, TIOCGPGRP, &group));
    SHOW(ioctl(0, TIOCSCTTY, 0));
    SHOW(ioctl(0, TIOCSCTTY, 0));
    SHOW(ioctl(0, TIOCGPGRP, &group));
    SHOW_TRUE(group == getpgrp());
    SHOW(ioctl(0, TIOCGSID, &group));
    SHOW_TRUE(group == getpid());
    SHOW(tcsetpgrp(0, getpgrp()));
    SHOW(tcsetpgrp(0, 999999));
    tty = MUST(open("/dev/tty", O_RDWR));
    SHOW(isatty(tty));
    char line[512] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    MUST(fgets(line, sizeof line, file) ? 0 : -1);
    fclose(file);
    struct stat st;
    int device, foreground;
    MUST(fstat(0, &st));
    MUST(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %d %d", &device, &foreground) == 2 ? 0 : -1);
    SHOW_TRUE(device == (int)st.st_rdev && foreground == getpgrp());
    int numbers[] = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH, SIGHUP, SIGCONT};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) on_signal(numbers[i], note, 0);
    MUST(write(terminal, "ready\n", 6));
    wait_for(SIGINT);
    MUST(write(terminal, "1\n", 2));
    wait_for(SIGQUIT);
    MUST(write(terminal, "2\n", 2));
    wait_for(SIGTSTP);
    MUST(write(terminal, "3\n", 2));
    wait_for(SIGWINCH);
    MUST(write(tty, "4\n", 2));
    hear("after signals");
    MUST(write(tty, "5\n", 2));
    wait_for(SIGHUP);
    wait_for(SIGCONT);
    hear("after the hang-up");
    SHOW(write(terminal, "x", 1));
    SHOW(open("/dev/tty", O_RDWR));
    return 0;
}

static void expect(int master, const char *text) {
    char data[1000];
    size_t n = 0;
    while (n < sizeof data - 1) {
        long more = read(master, data + n, 1);
        if (more <= 0) break;
        n += more;
        data[n] = 0;
        if (strstr(data, text)) return;
    }
    say("no \"%s\"", text);
}

int main(int argc, char **argv) {
    if (argc > 1) return child(atoi(argv[1]));
    int master, slave;
    open_pair(&master, &slave);
    int out = MUST(dup(1));
    char number[16];
    sprintf(number, "%d", out);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, slave, 0);
    posix_spawn_file_actions_addclose(&actions, master);
    posix_spawn_file_actions_addclose(&actions, slave);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    extern char **environ;
    char *arguments[] = {(char *)self_path(), number, NULL};
    pid_t pid;
    int error = posix_spawn(&pid, self_path(), &actions, &attributes, arguments, environ);
    if (error) must("posix_spawn", -1, error);
    MUST(close(slave));
    expect(master, "ready");
    type(master, "unfinished\x03");
    expect(master, "1");
    type(master, "\x1c");
    expect(master, "2");
    type(master, "\x1a");
    expect(master, "3");
    MUST(ioctl(master, TIOCSWINSZ, &(struct winsize){30, 90, 0, 0}));
    expect(master, "4");
    type(master, "a line\n");
    expect(master, "5");
    MUST(close(master));
    show_child("child", pid);
    return 0;
}
