// TCP on loopback: listeners on free ports, connections, pairs.
#ifndef INET_H
#define INET_H
#include "show.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

static inline struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int tcp_listener(uint16_t *port) {
    struct sockaddr_in a = loopback(0);
    socklen_t length = sizeof a;
    int s = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(s, (struct sockaddr *)&a, sizeof a));
    MUST(listen(s, 50));
    MUST(getsockname(s, (struct sockaddr *)&a, &length));
    *port = ntohs(a.sin_port);
    return s;
}

static inline int tcp_connect(uint16_t port) {
    struct sockaddr_in a = loopback(port);
    int s = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(s, (struct sockaddr *)&a, sizeof a));
    return s;
}

static inline void tcp_pair(int pair[2]) {
    uint16_t port;
    int listener = tcp_listener(&port);
    pair[0] = tcp_connect(port);
    pair[1] = MUST(accept(listener, NULL, NULL));
    MUST(close(listener));
}

static inline void wait_readable(int fd) {
    struct pollfd p = {fd, POLLIN, 0};
    MUST(poll(&p, 1, 5000));
}
#endif
