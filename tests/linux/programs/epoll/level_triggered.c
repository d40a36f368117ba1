// Level-triggered: reported as long as the condition holds.
#include "show.h"
#include <sys/epoll.h>

static int ep;

static void look(const char *what) {
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, 0);
    if (n == 1) say("%s: %#x for %d", what, e[0].events, (int)e[0].data.u32);
    else say("%s: %d", what, n);
}

int main(void) {
    int ends[2];
    char data[8];
    ep = MUST(epoll_create1(0));
    MUST(pipe(ends));
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = 42};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    look("empty");
    MUST(write(ends[1], "abc", 3));
    look("data");
    look("again");
    MUST(read(ends[0], data, 2));
    look("some read");
    MUST(read(ends[0], data, 2));
    look("all read");
    MUST(close(ends[1]));
    look("closed");
    look("closed");
    MUST(close(ends[0]));
    look("reader closed");
    return 0;
}
