// What a program writes, on its way to the screen; carriage returns on their way in; stopping and going on.
#include "terminal.h"

// What is typed takes effect in its own time.
static void wait_for_output(int slave, bool possible) {
    struct pollfd p = {slave, POLLOUT, 0};
    for (int i = 0; i < 500 && (poll(&p, 1, 0) == 1) != possible; i++) sleep_ms(10);
    SHOW_NUMBER(poll(&p, 1, 0));
}

int main(void) {
    int master, slave;
    struct termios t;
    open_pair(&master, &slave);
    set_local(slave, 0, ECHO);
    SHOW(write(slave, "a\nb\r\tc\n", 7));
    show_screen("usual", master);
    MUST(tcgetattr(slave, &t));
    tcflag_t usual = t.c_oflag;
    t.c_oflag = 0;
    SHOW(tcsetattr(slave, TCSADRAIN, &t));
    MUST(write(slave, "a\nb\r\tc\n", 7));
    show_screen("raw", master);
    t.c_oflag = OPOST | OCRNL;
    MUST(tcsetattr(slave, TCSANOW, &t));
    MUST(write(slave, "a\nb\rc", 5));
    show_screen("OCRNL", master);
    t.c_oflag = OPOST | ONOCR | ONLRET;
    MUST(tcsetattr(slave, TCSANOW, &t));
    MUST(write(slave, "\n\ra\r\rb", 6));
    show_screen("ONOCR", master);
    t.c_oflag = OPOST | ONLCR | XTABS;
    MUST(tcsetattr(slave, TCSANOW, &t));
    MUST(write(slave, "\ra\tb\tccccccc\td\n", 15));
    show_screen("XTABS", master);
    t.c_oflag = OPOST | OLCUC;
    MUST(tcsetattr(slave, TCSANOW, &t));
    MUST(write(slave, "Upper", 5));
    show_screen("OLCUC", master);
    t.c_oflag = usual;
    t.c_iflag = IGNCR;
    MUST(tcsetattr(slave, TCSANOW, &t));
    type(master, "a\rb\n");
    show_line("IGNCR", slave, 100);
    t.c_iflag = INLCR;
    MUST(tcsetattr(slave, TCSANOW, &t));
    type(master, "a\nb");
    show_nothing_yet("INLCR", slave);
    t.c_iflag = ISTRIP | ICRNL;
    MUST(tcsetattr(slave, TCSANOW, &t));
    type(master, "\xe1\xe2\r");
    show_line("ISTRIP", slave, 100);
    t.c_iflag = IXON | ICRNL;
    MUST(tcsetattr(slave, TCSAFLUSH, &t));
    type(master, "\x13");
    wait_for_output(slave, false);
    MUST(fcntl(slave, F_SETFL, O_NONBLOCK));
    SHOW(write(slave, "stopped", 7));
    type(master, "\x11");
    wait_for_output(slave, true);
    SHOW(write(slave, "going", 5));
    show_screen("started again", master);
    SHOW(tcflow(slave, TCOOFF));
    SHOW(write(slave, "stopped", 7));
    SHOW(tcflow(slave, TCOON));
    SHOW(write(slave, "going", 5));
    show_screen("on again", master);
    SHOW(tcdrain(slave));
    SHOW(tcsendbreak(slave, 0));
    return 0;
}
