// A watch goes with the last descriptor of its description, not with the first.
#include "show.h"
#include <sys/epoll.h>

int main(void) {
    int ep = MUST(epoll_create1(0)), ends[2];
    struct epoll_event e = {.events = EPOLLIN}, got;
    MUST(pipe(ends));
    e.data.fd = ends[0];
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    MUST(write(ends[1], "x", 1));
    int copy = MUST(dup(ends[0]));
    MUST(close(ends[0]));
    SHOW(epoll_wait(ep, &got, 1, 0));
    SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], NULL));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, copy, &e));
    SHOW(epoll_wait(ep, &got, 1, 0));
    MUST(close(copy));
    SHOW(epoll_wait(ep, &got, 1, 0));
    int again = MUST(dup(ends[1]));
    SHOW_TRUE(again == ends[0]);
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, again, &e));
    return 0;
}
