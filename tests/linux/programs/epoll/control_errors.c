// epoll_ctl: EEXIST, ENOENT, EBADF, EPERM, EINVAL, EFAULT.
#include "show.h"
#include <sys/epoll.h>

int main(void) {
    make_file("file", "");
    int ep = SHOW_OK(epoll_create1(0)), ends[2], file = MUST(open("file", O_RDONLY));
    MUST(pipe(ends));
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x123456789abcdefUL};
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, ends[1], &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, ends[1], NULL));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &e));
    SHOW(epoll_ctl(999, EPOLL_CTL_ADD, ends[1], &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e));
    SHOW(epoll_ctl(file, EPOLL_CTL_ADD, ends[1], &e));
    SHOW(epoll_ctl(ep, 77, ends[0], &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ends[1], bad_pointer()));
    SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], bad_pointer()));
    SHOW(epoll_create1(1));
    SHOW(epoll_create(0));
    SHOW(epoll_create(-1));
    SHOW(fcntl(MUST(epoll_create1(EPOLL_CLOEXEC)), F_GETFD));
    struct epoll_event events[2];
    SHOW(epoll_wait(ep, events, 0, 0));
    SHOW(syscall(SYS_epoll_wait, ep, events, -1, 0));
    SHOW(epoll_wait(file, events, 1, 0));
    SHOW(epoll_wait(999, events, 1, 0));
    MUST(write(ends[1], "x", 1));
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    SHOW(epoll_wait(ep, bad_pointer(), 1, 0));
    SHOW(epoll_wait(ep, events, 2, 0));
    SHOW_TRUE(events[0].data.u64 == 0x123456789abcdefUL);
    char c;
    SHOW(read(ep, &c, 1));
    return 0;
}
