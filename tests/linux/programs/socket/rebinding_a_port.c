// A listening port is EADDRINUSE; after close and with SO_REUSEADDR it can be had again at once.
#include "inet.h"

int main(void) {
    uint16_t port;
    int listener = tcp_listener(&port), one = 1;
    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    struct sockaddr_in a = loopback(port);
    int client = tcp_connect(port), server = MUST(accept(listener, NULL, NULL));
    int s = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    SHOW(bind(s, (struct sockaddr *)&a, sizeof a));
    MUST(close(server));
    MUST(close(listener));
    MUST(close(client));
    SHOW(bind(s, (struct sockaddr *)&a, sizeof a));
    SHOW(listen(s, 1));
    SHOW_OK(tcp_connect(port));
    SHOW_OK(accept(s, NULL, NULL));
    return 0;
}
