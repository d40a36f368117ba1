// A small echo server: epoll, non-blocking accept, forty clients.
#include "inet.h"
#include <sys/epoll.h>

enum { CLIENTS = 40 };
static uint16_t port;
static volatile int echoed;

static void *client(void *argument) {
    char text[32], back[16] = "";
    for (int i = (int)(intptr_t)argument; i < CLIENTS; i += 2) {
        int s = tcp_connect(port);
        snprintf(text, sizeof text, "client %03d", i);
        MUST(send(s, text, 10, 0));
        if (recv(s, back, 10, MSG_WAITALL) == 10 && !memcmp(text, back, 10)) __sync_fetch_and_add(&echoed, 1);
        MUST(close(s));
    }
    return NULL;
}

int main(void) {
    int listener = tcp_listener(&port), ep = MUST(epoll_create1(0)), open_now = 0, closed = 0;
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, got[8];
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e));
    pthread_t a = start_thread(client, (void *)0), b = start_thread(client, (void *)1);
    while (closed < CLIENTS) {
        int n = MUST(epoll_wait(ep, got, 8, 5000));
        if (n == 0) break;
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == listener) {
                for (int s; (s = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; open_now++) {
                    e = (struct epoll_event){.events = EPOLLIN | EPOLLRDHUP, .data.fd = s};
                    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e));
                }
                continue;
            }
            char data[64];
            long r = recv(got[i].data.fd, data, sizeof data, 0);
            if (r > 0) MUST(send(got[i].data.fd, data, r, 0));
            else if (r == 0) closed++, MUST(close(got[i].data.fd));
        }
    }
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    say("accepted %d closed %d echoed %d", open_now, closed, echoed);
    return 0;
}
