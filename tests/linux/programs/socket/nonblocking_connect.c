// A non-blocking connect: in progress, writable when done, SO_ERROR tells how; EISCONN afterwards.
#include "inet.h"

static void try(uint16_t port) {
    struct sockaddr_in a = loopback(port);
    int s = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int r = connect(s, (struct sockaddr *)&a, sizeof a);
    SHOW_TRUE(r == 0 || errno == EINPROGRESS || errno == ECONNREFUSED);
    bool refused = r < 0 && errno == ECONNREFUSED;
    struct pollfd p = {s, POLLOUT, 0};
    SHOW(poll(&p, 1, 5000));
    SHOW_TRUE(p.revents & POLLOUT);
    SHOW_TRUE(!!(p.revents & POLLHUP));
    int error = -1;
    socklen_t length = sizeof error;
    MUST(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &length));
    if (refused) error = ECONNREFUSED;
    say("SO_ERROR %s", error ? errno_name(error) : "0");
    MUST(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &length));
    say("SO_ERROR %s", error ? errno_name(error) : "0");
    if (port && !refused && !(p.revents & POLLERR)) SHOW(connect(s, (struct sockaddr *)&a, sizeof a));
    close(s);
}

int main(void) {
    uint16_t port;
    int listener = tcp_listener(&port);
    try(port);
    MUST(close(listener));
    try(port);
    return 0;
}
