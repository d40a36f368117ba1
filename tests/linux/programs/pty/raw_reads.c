// Without canonical mode: VMIN and VTIME, each alone and both; switching with something typed; O_NONBLOCK.
#include "terminal.h"

static void set(int fd, int minimum, int time) {
    struct termios t;
    MUST(tcgetattr(fd, &t));
    cfmakeraw(&t);
    t.c_cc[VMIN] = minimum;
    t.c_cc[VTIME] = time;
    MUST(tcsetattr(fd, TCSANOW, &t));
}

// Until so many bytes have arrived.
static void wait_for(int slave, int count) {
    int waiting = 0;
    for (int i = 0; i < 500 && waiting < count; i++) {
        sleep_ms(10);
        MUST(ioctl(slave, FIONREAD, &waiting));
    }
}

static int the_master;

static void *later(void *text) {
    for (const char *c = text; *c; c++) {
        sleep_ms(30);
        MUST(write(the_master, c, 1));
    }
    return NULL;
}

static void read_while(const char *what, int slave, char *typed, size_t size) {
    char data[100];
    pthread_t thread = start_thread(later, typed);
    long n = MUST(read(slave, data, size));
    show_bytes(what, data, n);
    pthread_join(thread, NULL);
    sleep_ms(30);
    MUST(tcflush(slave, TCIFLUSH));
}

int main(void) {
    int master, slave;
    char data[100];
    open_pair(&master, &slave);
    the_master = master;
    set(slave, 0, 0);
    SHOW(read(slave, data, 10));
    type(master, "xy");
    wait_for(slave, 2);
    SHOW(read(slave, data, 10));
    set(slave, 0, 1);
    SHOW(read(slave, data, 10));
    set(slave, 0, 50);
    read_while("one byte in time", slave, "z", 10);
    set(slave, 1, 0);
    read_while("one byte", slave, "a", 10);
    set(slave, 3, 0);
    read_while("three bytes", slave, "abc", 10);
    read_while("at most two", slave, "abc", 2);
    struct pollfd p = {slave, POLLIN, 0};
    type(master, "ab");
    wait_for(slave, 2);
    SHOW(poll(&p, 1, 0));
    type(master, "c");
    SHOW(poll(&p, 1, 1000));
    SHOW(read(slave, data, 10));
    set(slave, 5, 20);
    read_while("five, one after another", slave, "abcde", 10);
    set(slave, 5, 10);
    read_while("then no more", slave, "ab", 10);
    MUST(fcntl(slave, F_SETFL, O_NONBLOCK));
    set(slave, 1, 0);
    SHOW(read(slave, data, 10));
    type(master, "q");
    wait_for(slave, 1);
    SHOW(read(slave, data, 10));
    set_local(slave, ICANON, 0);
    type(master, "half a line");
    sleep_ms(200);
    SHOW(read(slave, data, 100));
    set_local(slave, 0, ICANON);
    show_line("when lines end", slave, 100);
    type(master, "\x03\x04\r\n");
    show_line("nothing special", slave, 100);
    show_screen("no echo", master);
    return 0;
}
