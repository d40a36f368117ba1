// epoll_wait sleeps until another thread makes something ready or adds something ready.
#include "show.h"
#include <sys/epoll.h>

static int ep, a[2], b[2];

static void *later(void *argument) {
    (void)argument;
    sleep_ms(20);
    MUST(write(a[1], "x", 1));
    sleep_ms(30);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = 2};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, b[0], &e));
    return NULL;
}

int main(void) {
    ep = MUST(epoll_create1(0));
    MUST(pipe(a));
    MUST(pipe(b));
    MUST(write(b[1], "x", 1));
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = 1}, got;
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &e));
    pthread_t thread = start_thread(later, NULL);
    SHOW(epoll_wait(ep, &got, 1, -1));
    SHOW_NUMBER(got.data.u32);
    SHOW(epoll_wait(ep, &got, 1, 5000));
    SHOW_NUMBER(got.data.u32);
    long start = now_ms();
    MUST(epoll_ctl(ep, EPOLL_CTL_DEL, b[0], NULL));
    SHOW(epoll_wait(ep, &got, 1, 25));
    SHOW_TRUE(now_ms() - start >= 24);
    pthread_join(thread, NULL);
    return 0;
}
