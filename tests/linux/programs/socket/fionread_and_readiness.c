// FIONREAD on sockets, POLLIN and POLLOUT of a TCP connection and a listener.
#include "inet.h"
#include <sys/ioctl.h>

static int events(int fd) {
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&p, 1, 0);
    return p.revents;
}

int main(void) {
    uint16_t port;
    int listener = tcp_listener(&port), n = -1;
    say("listener %#x", events(listener));
    int client = tcp_connect(port);
    wait_readable(listener);
    say("listener %#x", events(listener));
    int server = MUST(accept(listener, NULL, NULL));
    say("client %#x server %#x", events(client), events(server));
    MUST(send(client, "12345", 5, 0));
    wait_readable(server);
    SHOW(ioctl(server, FIONREAD, &n));
    SHOW_NUMBER(n);
    say("server %#x", events(server));
    MUST(shutdown(client, SHUT_WR));
    sleep_ms(20);
    say("server %#x", events(server));
    say("unconnected %#x", events(MUST(socket(AF_INET, SOCK_STREAM, 0))));
    return 0;
}
