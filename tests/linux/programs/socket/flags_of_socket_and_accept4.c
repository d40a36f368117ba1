// SOCK_NONBLOCK and SOCK_CLOEXEC; accept does not inherit, accept4 sets.
#include "inet.h"

static void show_flags(const char *what, int fd) {
    say("%s: nonblock %d cloexec %d access %d", what, !!(fcntl(fd, F_GETFL) & O_NONBLOCK), fcntl(fd, F_GETFD),
        fcntl(fd, F_GETFL) & O_ACCMODE);
}

int main(void) {
    uint16_t port;
    int listener = tcp_listener(&port);
    show_flags("plain", MUST(socket(AF_INET, SOCK_STREAM, 0)));
    show_flags("both", MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
    SHOW(accept(listener, NULL, NULL));
    for (int i = 0; i < 3; i++) tcp_connect(port);
    wait_readable(listener);
    show_flags("accept", MUST(accept(listener, NULL, NULL)));
    wait_readable(listener);
    show_flags("accept4", MUST(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)));
    SHOW(accept4(listener, NULL, NULL, 0x1));
    return 0;
}
