// A pseudo-terminal for one program to play both sides of.
#ifndef TERMINAL_H
#define TERMINAL_H
#include "show.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

// Opens a pair; the slave does not become the controlling terminal.
static inline void open_pair(int *master, int *slave) {
    *master = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    MUST(grantpt(*master));
    MUST(unlockpt(*master));
    *slave = MUST(open(ptsname(*master), O_RDWR | O_NOCTTY));
}

// Types at the keyboard, and shows what comes back on the screen.
static inline void type(int master, const char *text) {
    MUST(write(master, text, strlen(text)));
}

static inline void show_screen(const char *what, int master) {
    char data[4096];
    long n = 0;
    struct pollfd p = {master, POLLIN, 0};
    // The echo of what was typed may be on its way still.
    while (n < (long)sizeof data && poll(&p, 1, n ? 100 : 1000) > 0 && p.revents & POLLIN) {
        long more = read(master, data + n, sizeof data - n);
        if (more <= 0) break;
        n += more;
    }
    show_bytes(what, data, n);
}

static inline void show_nothing_yet(const char *what, int slave) {
    struct pollfd p = {slave, POLLIN, 0};
    say("%s: %s", what, poll(&p, 1, 100) ? "something" : "nothing yet");
}

// Reads a line.
static inline void show_line(const char *what, int slave, size_t size) {
    char data[4096];
    struct pollfd p = {slave, POLLIN, 0};
    poll(&p, 1, 10000);
    long n = read(slave, data, size);
    if (n < 0) show_error(what, errno);
    else show_bytes(what, data, n);
}

static inline void set_local(int fd, tcflag_t on, tcflag_t off) {
    struct termios t;
    MUST(tcgetattr(fd, &t));
    t.c_lflag = (t.c_lflag | on) & ~off;
    MUST(tcsetattr(fd, TCSANOW, &t));
}
#endif
