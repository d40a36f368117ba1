// socket, bind, listen, connect: refusals.
#include "inet.h"

int main(void) {
    SHOW(socket(AF_INET, 99, 0));
    SHOW(socket(99, SOCK_STREAM, 0));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SHOW(socket(AF_INET, SOCK_STREAM | 0x100, 0));
    struct sockaddr_in a = loopback(0), bad = a;
    socklen_t length = sizeof a;
    int s = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(bind(s, (struct sockaddr *)&a, 4));
    SHOW(bind(s, bad_pointer(), sizeof a));
    bad.sin_addr.s_addr = htonl(0x08080808);
    SHOW(bind(s, (struct sockaddr *)&bad, sizeof bad));
    SHOW(bind(s, (struct sockaddr *)&a, sizeof a));
    SHOW(bind(s, (struct sockaddr *)&a, sizeof a));
    SHOW(getsockname(s, (struct sockaddr *)&a, &length));
    SHOW_TRUE(a.sin_port != 0);
    int t = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(bind(t, (struct sockaddr *)&a, sizeof a));
    SHOW(accept(t, NULL, NULL));
    SHOW(getpeername(t, (struct sockaddr *)&a, &length));
    SHOW(listen(0, 5));
    SHOW(listen(-1, 5));
    SHOW(getsockname(s, (struct sockaddr *)&a, bad_pointer()));
    length = -1;
    SHOW(getsockname(s, (struct sockaddr *)&a, &length));
    bad.sin_family = 99;
    SHOW(connect(t, (struct sockaddr *)&bad, sizeof bad));
    char c;
    SHOW(recv(t, &c, 1, 0));
    SHOW(lseek(t, 0, SEEK_SET));
    return 0;
}
