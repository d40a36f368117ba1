// What goes with datagrams: destination and interface, time to live, type of service, segments, time stamps.
#include "inet.h"
#include <netinet/udp.h>

static char data[4096];

// Receives one datagram and prints what came with it.
static void receive(int s, size_t room) {
    char control[512];
    struct iovec v = {data, sizeof data};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
    wait_readable(s);
    long n = MUST(recvmsg(s, &m, 0));
    say("%ld bytes, flags %#x", n, m.msg_flags);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        void *p = CMSG_DATA(h);
        int number;
        memcpy(&number, p, sizeof number);
        if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *info = p;
            say("pktinfo: interface %s, to %s", info->ipi_ifindex > 0 ? "there" : "none", inet_ntoa(info->ipi_addr));
        } else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_TTL) say("ttl %d", number);
        else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_TOS) say("tos %d", *(unsigned char *)p);
        else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo *info = p;
            SHOW_TRUE(IN6_IS_ADDR_LOOPBACK(&info->ipi6_addr) && info->ipi6_ifindex > 0);
        } else if (h->cmsg_level == IPPROTO_IPV6) say("IPv6 %d: %d", h->cmsg_type, number);
        else if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMP) {
            struct timeval *t = p;
            say("time stamp, %s", labs(t->tv_sec - time(NULL)) < 100 ? "now" : "some other time");
        } else if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec *t = p;
            say("fine time stamp, %s", labs(t->tv_sec - time(NULL)) < 100 ? "now" : "some other time");
        } else say("level %d type %d length %zu", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
    }
}

// Sends with one control message.
static long send_with(int s, size_t length, int level, int type, const void *value, size_t size) {
    char control[64] __attribute__((aligned(8))) = {0};
    struct iovec v = {data, length};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = level;
    h->cmsg_type = type;
    h->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(h), value, size);
    return sendmsg(s, &m, 0);
}

static void with_ipv4(void) {
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0)), one = 1, zero = 0;
    struct sockaddr_in at = loopback(0);
    socklen_t length = sizeof at, size = sizeof one;
    MUST(bind(b, (struct sockaddr *)&at, sizeof at));
    MUST(getsockname(b, (struct sockaddr *)&at, &length));
    MUST(connect(a, (struct sockaddr *)&at, sizeof at));
    MUST(send(a, "plain", 5, 0));
    receive(b, 512);
    SHOW(setsockopt(b, IPPROTO_IP, IP_PKTINFO, &one, sizeof one));
    SHOW(setsockopt(b, IPPROTO_IP, IP_RECVTTL, &one, sizeof one));
    SHOW(setsockopt(b, IPPROTO_IP, IP_RECVTOS, &one, sizeof one));
    int got = 7;
    SHOW(getsockopt(b, IPPROTO_IP, IP_RECVTTL, &got, &size));
    SHOW_NUMBER(got);
    MUST(send(a, "plain", 5, 0));
    receive(b, 512);
    int ttl = 9, tos = 0x10;
    SHOW(send_with(a, 3, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl));
    receive(b, 512);
    SHOW(send_with(a, 3, IPPROTO_IP, IP_TOS, &tos, sizeof tos));
    receive(b, 512);
    struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK)};
    SHOW(send_with(a, 3, IPPROTO_IP, IP_PKTINFO, &from, sizeof from));
    receive(b, 40);
    SHOW(send(a, "short", 5, 0));
    receive(b, 8);
    SHOW(send_with(a, 3, IPPROTO_IP, IP_TTL, &zero, sizeof zero));
    SHOW(send_with(a, 3, IPPROTO_IP, IP_TTL, &ttl, 1));
    SHOW(send_with(a, 3, IPPROTO_IP, 99, &ttl, sizeof ttl));
    SHOW(send_with(a, 3, SOL_SOCKET, 99, &ttl, sizeof ttl));
    SHOW(send_with(a, 3, 12345, 1, &ttl, sizeof ttl));
    receive(b, 512);
    MUST(setsockopt(b, IPPROTO_IP, IP_PKTINFO, &zero, sizeof zero));
    MUST(setsockopt(b, IPPROTO_IP, IP_RECVTTL, &zero, sizeof zero));
    MUST(setsockopt(b, IPPROTO_IP, IP_RECVTOS, &zero, sizeof zero));
    SHOW(setsockopt(b, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one));
    SHOW(getsockopt(b, SOL_SOCKET, SO_TIMESTAMP, &got, &size));
    SHOW_NUMBER(got);
    MUST(send(a, "when", 4, 0));
    receive(b, 512);
    SHOW(setsockopt(b, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one));
    SHOW(getsockopt(b, SOL_SOCKET, SO_TIMESTAMP, &got, &size));
    SHOW_NUMBER(got);
    MUST(send(a, "when", 4, 0));
    receive(b, 512);
    SHOW(setsockopt(b, SOL_SOCKET, SO_TIMESTAMPNS, &zero, sizeof zero));
    MUST(send(a, "when", 4, 0));
    receive(b, 512);
    uint16_t segment = 1000;
    SHOW(send_with(a, 2500, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment));
    for (int i = 0; i < 3; i++) receive(b, 512);
    SHOW(send_with(a, 2500, IPPROTO_UDP, UDP_SEGMENT, &one, sizeof one));
}

static void with_ipv6(void) {
    int a = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), one = 1, hops = 5;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t length = sizeof at;
    if (bind(b, (struct sockaddr *)&at, sizeof at) < 0) return;
    MUST(getsockname(b, (struct sockaddr *)&at, &length));
    MUST(connect(a, (struct sockaddr *)&at, sizeof at));
    SHOW(setsockopt(b, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one));
    SHOW(setsockopt(b, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof one));
    SHOW(setsockopt(b, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof one));
    SHOW(send_with(a, 3, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops));
    receive(b, 512);
    SHOW(send_with(a, 3, IPPROTO_IPV6, IPV6_TCLASS, &hops, sizeof hops));
    receive(b, 512);
}

int main(void) {
    with_ipv4();
    with_ipv6();
    return 0;
}
