// The same over ::1, where the machine has it.
#include "inet.h"

int main(void) {
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, peer;
    socklen_t length = sizeof a;
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0) {
        say("no IPv6 here");
        return 0;
    }
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&a, &length));
    SHOW_NUMBER(length);
    int client = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    SHOW(connect(client, (struct sockaddr *)&a, sizeof a));
    length = sizeof peer;
    int server = SHOW_OK(accept(listener, (struct sockaddr *)&peer, &length));
    SHOW_TRUE(peer.sin6_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&peer.sin6_addr));
    SHOW(write(server, "six", 3));
    char data[4];
    SHOW(recv(client, data, 3, MSG_WAITALL));
    int only = 0;
    length = sizeof only;
    int one = 1, s = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    SHOW(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
    SHOW(getsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length));
    SHOW_NUMBER(only);
    return 0;
}
