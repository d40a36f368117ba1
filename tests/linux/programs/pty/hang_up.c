// One end goes: what the other reads, writes and polls.
#include "terminal.h"

static void show_poll(const char *what, int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 1000);
    say("%s:%s%s%s%s", what, p.revents & POLLIN ? " IN" : "", p.revents & POLLOUT ? " OUT" : "",
        p.revents & POLLHUP ? " HUP" : "", p.revents & POLLERR ? " ERR" : "");
}

int main(void) {
    int master, slave;
    char data[100], name[64];
    open_pair(&master, &slave);
    strcpy(name, ptsname(master));
    MUST(write(slave, "last words", 10));
    MUST(close(slave));
    show_poll("with something left", master);
    SHOW(read(master, data, sizeof data));
    show_poll("with nothing left", master);
    SHOW(read(master, data, sizeof data));
    slave = MUST(open(name, O_RDWR | O_NOCTTY));
    show_poll("opened again", master);
    MUST(write(slave, "more", 4));
    SHOW(read(master, data, sizeof data));
    type(master, "typed\n");
    MUST(close(master));
    show_poll("slave", slave);
    SHOW(read(slave, data, sizeof data));
    SHOW(write(slave, "x", 1));
    struct termios t;
    SHOW(tcgetattr(slave, &t));
    SHOW(isatty(slave));
    SHOW(close(slave));
    master = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    MUST(fcntl(master, F_SETFL, O_NONBLOCK));
    SHOW(read(master, data, sizeof data));
    show_poll("never opened", master);
    return 0;
}
