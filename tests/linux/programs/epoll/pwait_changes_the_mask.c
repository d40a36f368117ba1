// epoll_pwait with a mask, and epoll_pwait2's time-out.
#include "show.h"
#include <sys/epoll.h>
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static void handler(int number) {
    say("handler %d", number);
}

int main(void) {
    int ep = MUST(epoll_create1(0));
    struct epoll_event got;
    sigset_t block, none;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    on_signal(SIGUSR1, handler, 0);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    MUST(raise(SIGUSR1));
    SHOW(epoll_wait(ep, &got, 1, 0));
    SHOW(epoll_pwait(ep, &got, 1, 1000, &none));
    struct timespec t = {0, 20000000};
    long start = now_ms();
    SHOW(syscall(SYS_epoll_pwait2, ep, &got, 1, &t, NULL, 8));
    SHOW_TRUE(now_ms() - start >= 19);
    SHOW(syscall(SYS_epoll_pwait, ep, &got, 1, 0, &none, 3));
    return 0;
}
