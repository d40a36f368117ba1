// Edge-triggered: reported once per new data.
#include "show.h"
#include <sys/epoll.h>

static int ep;

static void look(const char *what) {
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, 0);
    if (n == 1) say("%s: %#x", what, e[0].events);
    else say("%s: %d", what, n);
}

int main(void) {
    int ends[2];
    char data[8];
    ep = MUST(epoll_create1(0));
    MUST(pipe2(ends, O_NONBLOCK));
    MUST(write(ends[1], "a", 1));
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    look("data before adding");
    look("again");
    MUST(write(ends[1], "b", 1));
    look("more data");
    look("again");
    MUST(read(ends[0], data, 1));
    look("read one");
    MUST(read(ends[0], data, 1));
    MUST(write(ends[1], "c", 1));
    look("new data");
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, ends[0], &e));
    look("after MOD");
    look("again");
    MUST(close(ends[1]));
    look("closed");
    look("again");
    return 0;
}
