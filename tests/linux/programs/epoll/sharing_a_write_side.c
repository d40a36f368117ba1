// One description watched for input and output, EPOLLRDHUP, and changes by MOD.
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
    ep = MUST(epoll_create1(0));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &e));
    look("new");
    MUST(write(pair[1], "x", 1));
    look("data");
    e.events = EPOLLIN;
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, pair[0], &e));
    look("only input");
    e.events = 0;
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, pair[0], &e));
    look("nothing");
    MUST(close(pair[1]));
    look("nothing, hung up");
    e.events = EPOLLRDHUP;
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, pair[0], &e));
    look("EPOLLRDHUP");
    return 0;
}
