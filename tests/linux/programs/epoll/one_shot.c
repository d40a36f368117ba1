// EPOLLONESHOT: silent after one report until MOD.
#include "show.h"
#include <sys/epoll.h>

static int ep;

static void look(const char *what) {
    struct epoll_event e;
    say("%s: %d", what, epoll_wait(ep, &e, 1, 0));
}

int main(void) {
    int ends[2];
    ep = MUST(epoll_create1(0));
    MUST(pipe(ends));
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    look("empty");
    MUST(write(ends[1], "x", 1));
    look("data");
    look("again");
    MUST(write(ends[1], "x", 1));
    look("more data");
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, ends[0], &e));
    look("rearmed");
    look("again");
    MUST(close(ends[1]));
    look("hang-up while disarmed");
    SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], NULL));
    return 0;
}
