// A line holds 4096 bytes with its end; what is typed beyond is lost, but for the end.
#include "terminal.h"

int main(void) {
    int master, slave;
    static char text[5000], data[8192];
    open_pair(&master, &slave);
    set_local(slave, 0, ECHO);
    for (unsigned i = 0; i < sizeof text; i++) text[i] = 'a' + i % 26;
    text[sizeof text - 2] = 'Z';
    text[sizeof text - 1] = '\n';
    SHOW(write(master, text, sizeof text));
    struct pollfd p = {slave, POLLIN, 0};
    SHOW(poll(&p, 1, 5000));
    long n = SHOW(read(slave, data, sizeof data));
    SHOW_TRUE(memcmp(text, data, 4090) == 0);
    show_bytes("its end", data + n - 4, 4);
    type(master, "short\n");
    show_line("the next", slave, 100);
    return 0;
}
