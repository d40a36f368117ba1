// struct termios: what a new terminal has, what setting changes, and what it cannot.
#include "terminal.h"

static void show_settings(int fd) {
    struct termios t;
    MUST(tcgetattr(fd, &t));
    say("i %#x o %#x c %#x l %#x", t.c_iflag, t.c_oflag, t.c_cflag & ~CBAUD, t.c_lflag);
    show_bytes("characters", t.c_cc, 17);
    SHOW_TRUE(cfgetospeed(&t) == B38400);
}

int main(void) {
    int master, slave;
    struct termios t, got;
    open_pair(&master, &slave);
    show_settings(slave);
    show_settings(master);
    MUST(tcgetattr(slave, &t));
    cfmakeraw(&t);
    t.c_cc[VMIN] = 3;
    t.c_cc[VTIME] = 2;
    SHOW(tcsetattr(slave, TCSANOW, &t));
    show_settings(slave);
    show_settings(master);
    t.c_cflag = CS5 | PARENB | CSTOPB | B38400;
    SHOW(ioctl(slave, TCSETS, &t));
    MUST(tcgetattr(slave, &got));
    SHOW_TRUE((got.c_cflag & CSIZE) == CS8);
    SHOW_TRUE(!!(got.c_cflag & PARENB));
    SHOW_TRUE(!!(got.c_cflag & CSTOPB));
    SHOW_TRUE(!!(got.c_cflag & CREAD));
    SHOW(ioctl(slave, TCGETS, bad_pointer()));
    SHOW(ioctl(slave, TCSETS, bad_pointer()));
    SHOW(tcflush(slave, 77));
    SHOW(tcflow(slave, 77));
    struct winsize w = {1, 2, 3, 4};
    SHOW(ioctl(slave, TIOCGWINSZ, &w));
    say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    SHOW(ioctl(master, TIOCSWINSZ, &(struct winsize){24, 80, 0, 0}));
    SHOW(ioctl(slave, TIOCGWINSZ, &w));
    say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    SHOW(ioctl(slave, TIOCSWINSZ, &(struct winsize){50, 132, 1, 2}));
    SHOW(ioctl(master, TIOCGWINSZ, &w));
    say("%d %d %d %d", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    pid_t group;
    SHOW(ioctl(slave, TIOCGPGRP, &group));
    SHOW(ioctl(master, TIOCGPGRP, &group));
    SHOW_NUMBER(group);
    SHOW(ioctl(slave, TIOCGSID, &group));
    SHOW(ioctl(slave, TIOCNOTTY));
    SHOW(ioctl(slave, 0x7777, 0));
    return 0;
}
