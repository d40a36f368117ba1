// shutdown of each half: end of file for the peer, EPIPE for oneself, the other half still works.
#include "inet.h"

int main(void) {
    int pair[2];
    char data[8];
    tcp_pair(pair);
    SHOW(shutdown(pair[0], SHUT_WR));
    SHOW(recv(pair[1], data, 8, 0));
    SHOW(send(pair[0], "x", 1, MSG_NOSIGNAL));
    SHOW(send(pair[1], "back", 4, 0));
    SHOW(recv(pair[0], data, 4, MSG_WAITALL));
    SHOW(shutdown(pair[1], SHUT_RD));
    SHOW(recv(pair[1], data, 8, 0));
    SHOW(shutdown(pair[1], SHUT_RDWR));
    SHOW(recv(pair[0], data, 8, 0));
    SHOW(shutdown(pair[0], 99));
    SHOW(shutdown(MUST(socket(AF_INET, SOCK_STREAM, 0)), SHUT_RDWR));
    SHOW(shutdown(0, SHUT_RD));
    SHOW(shutdown(-1, SHUT_RD));
    return 0;
}
