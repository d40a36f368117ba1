// A handler ends poll, select and epoll_wait with EINTR, whatever SA_RESTART says.
#include "show.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static volatile int count;

static void handler(int number) {
    (void)number;
    count++;
}

int main(void) {
    int ends[2];
    MUST(pipe(ends));
    on_signal(SIGALRM, handler, SA_RESTART);
    struct itimerval every = {{0, 10000}, {0, 10000}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    struct pollfd fd = {ends[0], POLLIN, 0};
    SHOW(poll(&fd, 1, -1));
    struct timespec t = {10, 0};
    SHOW(ppoll(&fd, 1, &t, NULL));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval tv = {10, 0};
    SHOW(select(ends[0] + 1, &set, NULL, NULL, &tv));
    SHOW(pselect(ends[0] + 1, &set, NULL, NULL, NULL, NULL));
    struct epoll_event event;
    SHOW(epoll_wait(MUST(epoll_create1(0)), &event, 1, -1));
    SHOW_TRUE(count >= 5);
    return 0;
}
