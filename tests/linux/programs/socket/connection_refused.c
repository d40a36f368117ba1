// Connecting to a port where nobody listens.
#include "inet.h"

int main(void) {
    uint16_t port;
    int listener = tcp_listener(&port);
    MUST(close(listener));
    struct sockaddr_in a = loopback(port);
    int s = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(connect(s, (struct sockaddr *)&a, sizeof a));
    int error;
    socklen_t length = sizeof error;
    SHOW(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &length));
    SHOW_NUMBER(error);
    SHOW(getpeername(s, (struct sockaddr *)&a, &length));
    return 0;
}
