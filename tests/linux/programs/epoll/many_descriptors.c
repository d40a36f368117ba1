// 300 watched descriptors: every ready one is reported once per round, fairly, in batches.
#include "show.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void) {
    int ep = MUST(epoll_create1(0)), fds[300], seen[300] = {0};
    for (int i = 0; i < 300; i++) {
        fds[i] = MUST(eventfd(i % 3 == 0, EFD_NONBLOCK));
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e));
    }
    struct epoll_event got[30];
    for (int round = 0; round < 4; round++) {
        int n = MUST(epoll_wait(ep, got, 30, 0));
        for (int i = 0; i < n; i++) seen[got[i].data.u32]++;
    }
    int right = 0;
    for (int i = 0; i < 300; i++) right += (seen[i] > 0) == (i % 3 == 0);
    SHOW_NUMBER(right);
    uint64_t v;
    for (int i = 0; i < 300; i += 3) MUST(read(fds[i], &v, 8));
    SHOW(epoll_wait(ep, got, 30, 0));
    return 0;
}
