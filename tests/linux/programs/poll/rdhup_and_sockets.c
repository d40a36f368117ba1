// POLLRDHUP, POLLHUP, POLLOUT on a socket pair as its ends shut down.
#include "show.h"
#include <poll.h>
#include <sys/socket.h>

static int pair[2];

static void look(const char *what) {
    struct pollfd fd = {pair[0], POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&fd, 1, 0);
    say("%s: %#x", what, fd.revents);
}

int main(void) {
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    look("new");
    MUST(write(pair[1], "x", 1));
    look("data");
    MUST(shutdown(pair[1], SHUT_WR));
    look("peer shut down");
    char c;
    MUST(read(pair[0], &c, 1));
    look("read");
    MUST(shutdown(pair[0], SHUT_WR));
    look("both shut down");
    MUST(close(pair[1]));
    look("peer closed");
    return 0;
}
