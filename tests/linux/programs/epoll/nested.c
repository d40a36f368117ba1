// An epoll descriptor inside another, and inside poll.
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>

int main(void) {
    int inner = MUST(epoll_create1(0)), outer = MUST(epoll_create1(0)), ends[2];
    MUST(pipe(ends));
    struct epoll_event e = {.events = EPOLLIN, .data.fd = 1}, got;
    MUST(epoll_ctl(inner, EPOLL_CTL_ADD, ends[0], &e));
    e.data.fd = 2;
    SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e));
    SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &e));
    struct pollfd fd = {outer, POLLIN, 0};
    SHOW(epoll_wait(outer, &got, 1, 0));
    SHOW(poll(&fd, 1, 0));
    MUST(write(ends[1], "x", 1));
    SHOW(epoll_wait(outer, &got, 1, 0));
    SHOW_NUMBER(got.data.fd);
    SHOW(poll(&fd, 1, 0));
    SHOW_NUMBER(fd.revents);
    SHOW(epoll_wait(inner, &got, 1, 0));
    SHOW_NUMBER(got.data.fd);
    char c;
    MUST(read(ends[0], &c, 1));
    SHOW(epoll_wait(outer, &got, 1, 0));
    return 0;
}
