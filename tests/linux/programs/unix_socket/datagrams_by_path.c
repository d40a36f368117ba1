// UNIX datagrams: names of senders, unnamed ones, refusals, connected sockets.
#include "show.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    struct sockaddr_un at_a = {.sun_family = AF_UNIX, .sun_path = "a"},
                       at_b = {.sun_family = AF_UNIX, .sun_path = "b"}, from;
    int a = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)), b = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)),
        unnamed = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(bind(a, (struct sockaddr *)&at_a, sizeof at_a));
    MUST(bind(b, (struct sockaddr *)&at_b, sizeof at_b));
    char data[32];
    socklen_t length = sizeof from;
    SHOW(sendto(a, "hello", 5, 0, (struct sockaddr *)&at_b, sizeof at_b));
    SHOW(recvfrom(b, data, sizeof data, 0, (struct sockaddr *)&from, &length));
    say("from %s", from.sun_path);
    SHOW(sendto(unnamed, "hi", 2, 0, (struct sockaddr *)&at_b, sizeof at_b));
    length = sizeof from;
    SHOW(recvfrom(b, data, sizeof data, 0, (struct sockaddr *)&from, &length));
    SHOW_TRUE(length == 0 || length == sizeof(sa_family_t));
    SHOW(connect(unnamed, (struct sockaddr *)&at_a, sizeof at_a));
    SHOW(send(unnamed, "to a", 4, 0));
    SHOW(recv(a, data, sizeof data, 0));
    SHOW(connect(a, (struct sockaddr *)&at_b, sizeof at_b));
    SHOW(send(unnamed, "no", 2, 0));
    SHOW(sendto(b, "x", 1, 0,
                (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "c"},
                sizeof at_b));
    MUST(close(b));
    SHOW(send(a, "gone", 4, 0));
    SHOW(send(MUST(socket(AF_UNIX, SOCK_DGRAM, 0)), "x", 1, 0));
    return 0;
}
