// poll on pipes: readable, writable, full, hung up, both ends.
#include "show.h"
#include <poll.h>

static int ends[2];

static void look(const char *what) {
    struct pollfd fds[2] = {{ends[0], POLLIN | POLLOUT, 0}, {ends[1], POLLIN | POLLOUT, 0}};
    int n = poll(fds, 2, 0);
    say("%s: %d, reader %#x, writer %#x", what, n, fds[0].revents, fds[1].revents);
}

int main(void) {
    static char data[65536];
    MUST(pipe2(ends, O_NONBLOCK));
    look("empty");
    MUST(write(ends[1], data, 1));
    look("one byte");
    MUST(write(ends[1], data, 65535));
    look("full");
    MUST(read(ends[0], data, 4095));
    look("a page almost free");
    MUST(read(ends[0], data, 4097));
    look("pages free");
    MUST(close(ends[1]));
    look("no writer");
    MUST(read(ends[0], data, sizeof data));
    look("no writer, empty");
    MUST(pipe(ends));
    MUST(close(ends[0]));
    look("no reader");
    return 0;
}
