// A TCP connection on loopback: addresses of both ends, data both ways, end of file.
#include "inet.h"

int main(void) {
    uint16_t port;
    int listener = tcp_listener(&port);
    struct sockaddr_in address = loopback(port), peer;
    socklen_t length = sizeof peer;
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(connect(client, (struct sockaddr *)&address, sizeof address));
    int server = SHOW_OK(accept(listener, (struct sockaddr *)&peer, &length));
    SHOW_NUMBER(length);
    SHOW_TRUE(peer.sin_family == AF_INET && peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    struct sockaddr_in own;
    length = sizeof own;
    SHOW(getsockname(client, (struct sockaddr *)&own, &length));
    SHOW_TRUE(own.sin_port == peer.sin_port);
    SHOW(getpeername(client, (struct sockaddr *)&own, &length));
    SHOW_TRUE(own.sin_port == htons(port));
    char data[32];
    SHOW(send(client, "to the server", 13, 0));
    SHOW(recv(server, data, 13, MSG_WAITALL));
    SHOW(write(server, "to the client", 13));
    SHOW(recv(client, data, 13, MSG_WAITALL));
    show_bytes("data", data, 13);
    SHOW(close(server));
    SHOW(recv(client, data, 13, 0));
    SHOW(close(client));
    return 0;
}
