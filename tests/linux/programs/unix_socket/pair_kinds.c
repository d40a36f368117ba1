// socketpair of the three kinds: borders, order, end of file, sizes.
#include "show.h"
#include <sys/socket.h>

static void try(const char *what, int type) {
    int pair[2];
    char data[32];
    say("%s", what);
    SHOW(socketpair(AF_UNIX, type, 0, pair));
    SHOW(write(pair[0], "first", 5));
    SHOW(write(pair[0], "second", 6));
    SHOW(recv(pair[1], data, 3, 0));
    SHOW(recv(pair[1], data, sizeof data, 0));
    SHOW(recv(pair[1], data, sizeof data, MSG_DONTWAIT));
    SHOW(send(pair[1], "", 0, 0));
    SHOW(recv(pair[0], data, sizeof data, MSG_DONTWAIT));
    SHOW(write(pair[0], "last", 4));
    SHOW(close(pair[0]));
    SHOW(recv(pair[1], data, sizeof data, MSG_DONTWAIT));
    SHOW(recv(pair[1], data, sizeof data, MSG_DONTWAIT));
    SHOW(send(pair[1], "x", 1, MSG_NOSIGNAL));
}

int main(void) {
    int pair[2];
    try("stream", SOCK_STREAM);
    try("datagram", SOCK_DGRAM);
    try("seqpacket", SOCK_SEQPACKET);
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, pair));
    SHOW(socketpair(AF_UNIX, SOCK_RAW, 0, pair));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 99, pair));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, bad_pointer()));
    return 0;
}
