// EPOLLOUT with EPOLLET: once at first, and once when a full socket drains.
#include "show.h"
#include <sys/epoll.h>
#include <sys/socket.h>

static int ep;

static void look(const char *what) {
    struct epoll_event e;
    int n = epoll_wait(ep, &e, 1, 0);
    say("%s: %d %#x", what, n, n == 1 ? e.events : 0);
}

int main(void) {
    int pair[2];
    static char data[4096];
    ep = MUST(epoll_create1(0));
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    struct epoll_event e = {.events = EPOLLOUT | EPOLLET};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &e));
    look("new");
    look("again");
    while (write(pair[0], data, sizeof data) > 0) continue;
    say("%s", errno_name(errno));
    look("full");
    while (read(pair[1], data, sizeof data) > 0) continue;
    look("drained");
    look("again");
    return 0;
}
