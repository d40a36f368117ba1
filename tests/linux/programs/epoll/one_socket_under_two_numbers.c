// A socket and its duplicate in one epoll are two entries: each with its own events, edges and end.
#include "inet.h"
#include <sys/epoll.h>

static int epoll;

static void look(const char *what) {
    struct epoll_event got[4];
    int n = epoll_wait(epoll, got, 4, 0);
    uint32_t first = 0, second = 0;
    for (int i = 0; i < n; i++) *(got[i].data.u32 == 1 ? &first : &second) = got[i].events;
    say("%s: %d %#x %#x", what, n, first, second);
}

int main(void) {
    struct sockaddr_in a = loopback(0);
    socklen_t length = sizeof a;
    int s = MUST(socket(AF_INET, SOCK_DGRAM, 0)), other = MUST(dup(s));
    MUST(bind(s, (struct sockaddr *)&a, sizeof a));
    MUST(getsockname(s, (struct sockaddr *)&a, &length));
    epoll = MUST(epoll_create1(0));
    struct epoll_event first = {EPOLLIN, {.u32 = 1}}, second = {EPOLLIN | EPOLLOUT | EPOLLET, {.u32 = 2}};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, s, &first));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &second));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &second));
    look("new");
    look("edge seen");
    MUST(sendto(s, "x", 1, 0, (struct sockaddr *)&a, sizeof a));
    wait_readable(s);
    look("input");
    look("edge seen");
    second.events = EPOLLOUT | EPOLLONESHOT;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, other, &second));
    look("one shot");
    look("spent");
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, s, NULL));
    look("first removed");
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, other, &second));
    look("again");
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, other, NULL));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, other, NULL));
    return 0;
}
