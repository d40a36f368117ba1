// UDP keeps datagram borders, truncates with MSG_TRUNC, carries empty ones, says from where.
#include "inet.h"

int main(void) {
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_in at_a = loopback(0), at_b = loopback(0), from;
    socklen_t length = sizeof at_a;
    MUST(bind(a, (struct sockaddr *)&at_a, sizeof at_a));
    MUST(bind(b, (struct sockaddr *)&at_b, sizeof at_b));
    MUST(getsockname(a, (struct sockaddr *)&at_a, &length));
    MUST(getsockname(b, (struct sockaddr *)&at_b, &length));
    char data[32];
    SHOW(send(a, "x", 1, 0));
    SHOW(sendto(a, "first", 5, 0, (struct sockaddr *)&at_b, sizeof at_b));
    SHOW(sendto(a, "second one", 10, 0, (struct sockaddr *)&at_b, sizeof at_b));
    SHOW(sendto(a, "", 0, 0, (struct sockaddr *)&at_b, sizeof at_b));
    SHOW(recvfrom(b, data, sizeof data, 0, (struct sockaddr *)&from, &length));
    SHOW_TRUE(from.sin_port == at_a.sin_port);
    struct iovec v = {data, 4};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
    SHOW(recvmsg(b, &m, 0));
    SHOW_TRUE(m.msg_flags == MSG_TRUNC);
    SHOW(recv(b, data, sizeof data, 0));
    SHOW(recv(b, data, sizeof data, MSG_DONTWAIT));
    SHOW(connect(a, (struct sockaddr *)&at_b, sizeof at_b));
    SHOW(send(a, "connected", 9, 0));
    SHOW(recv(b, data, 3, MSG_TRUNC));
    struct sockaddr_in elsewhere = loopback(9);
    SHOW(connect(a, (struct sockaddr *)&(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof elsewhere));
    SHOW(send(a, "x", 1, 0));
    SHOW(listen(a, 1));
    SHOW(accept(a, NULL, NULL));
    static char big[70000];
    SHOW(sendto(a, big, sizeof big, 0, (struct sockaddr *)&at_b, sizeof at_b));
    return 0;
}
