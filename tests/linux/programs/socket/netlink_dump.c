// rtnetlink(7) by hand: names of sockets, dumps of interfaces and addresses, what is refused.
#include "inet.h"

// What linux/netlink.h and its relatives have, which musl's headers do not come with.
enum { NETLINK_ROUTE, NLM_F_REQUEST, NLM_F_ACK = 4, NLM_F_DUMP = 0x300 };
enum { NLMSG_NOOP = 1, NLMSG_ERROR, NLMSG_DONE, RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_GETADDR = 22 };
enum { IFLA_ADDRESS = 1, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_TXQLEN = 13 };
enum { IFA_ADDRESS = 1, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST };
struct sockaddr_nl {
    uint16_t nl_family, nl_pad;
    uint32_t nl_pid, nl_groups;
};
struct nlmsghdr {
    uint32_t nlmsg_len;
    uint16_t nlmsg_type, nlmsg_flags;
    uint32_t nlmsg_seq, nlmsg_pid;
};
struct nlmsgerr {
    int error;
    struct nlmsghdr msg;
};
struct ifinfomsg {
    unsigned char ifi_family, pad;
    uint16_t ifi_type;
    int ifi_index;
    uint32_t ifi_flags, ifi_change;
};
struct ifaddrmsg {
    uint8_t ifa_family, ifa_prefixlen, ifa_flags, ifa_scope;
    uint32_t ifa_index;
};
struct attribute {
    uint16_t length, type;
    unsigned char value[];
};

static char buffer[65536];

struct request {
    struct nlmsghdr head;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
    } body;
};

static struct request make(int type, int flags, int family) {
    struct request r = {.head = {.nlmsg_len = sizeof r, .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = 77}};
    r.body.link.ifi_family = family;
    return r;
}

// Attributes of the given types in their order, wherever they stand behind the message's own part.
static void show_attributes(struct nlmsghdr *h, size_t own, const int *types) {
    for (; *types; types++) {
        for (size_t at = sizeof *h + own; at + 4 <= h->nlmsg_len;) {
            struct attribute *a = (struct attribute *)((char *)h + at);
            if (a->length < 4 || at + a->length > h->nlmsg_len) say("  an attribute of %d bytes", a->length);
            if (a->length < 4) return;
            char text[128] = "";
            for (int i = 0; a->type == *types && i < a->length - 4 && i < 60; i++)
                sprintf(text + 2 * i, "%02x", a->value[i]);
            if (a->type == *types) say("  attribute %d: %s", a->type, text);
            at += (a->length + 3) & ~3;
        }
    }
}

static void show_message(struct nlmsghdr *h, unsigned port) {
    say("type %d flags %#x sequence %u %s", h->nlmsg_type, h->nlmsg_flags, h->nlmsg_seq,
        h->nlmsg_pid == port ? "for us" : "for somebody else");
    if (h->nlmsg_type == NLMSG_ERROR) {
        struct nlmsgerr *e = (void *)(h + 1);
        say("  error %d, of %u bytes, about type %d length %u", e->error, h->nlmsg_len, e->msg.nlmsg_type,
            e->msg.nlmsg_len);
    } else if (h->nlmsg_type == RTM_NEWLINK) {
        struct ifinfomsg *m = (void *)(h + 1);
        say("  interface %d type %d flags %#x change %#x", m->ifi_index, m->ifi_type, m->ifi_flags, m->ifi_change);
        show_attributes(h, sizeof *m,
                        (const int[]){IFLA_IFNAME, IFLA_ADDRESS, IFLA_BROADCAST, IFLA_MTU, IFLA_TXQLEN, 0});
    } else if (h->nlmsg_type == RTM_NEWADDR) {
        struct ifaddrmsg *m = (void *)(h + 1);
        say("  family %d prefix %d flags %#x scope %d interface %d", m->ifa_family, m->ifa_prefixlen, m->ifa_flags,
            m->ifa_scope, m->ifa_index);
        show_attributes(h, sizeof *m,
                        (const int[]){IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_LABEL, 0});
    } else if (h->nlmsg_type == NLMSG_DONE) say("  %d", *(int *)(h + 1));
}

static unsigned port_of(int s) {
    struct sockaddr_nl a;
    socklen_t length = sizeof a;
    MUST(getsockname(s, (struct sockaddr *)&a, &length));
    return a.nl_pid;
}

// Receives until the end of a dump or an error; datagrams are sized by a look at them.
static void show_answer(int s) {
    unsigned port = port_of(s);
    for (;;) {
        struct sockaddr_nl from;
        struct iovec v = {buffer, 1};
        struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1};
        wait_readable(s);
        long length = MUST(recvmsg(s, &m, MSG_PEEK | MSG_TRUNC));
        if (!(m.msg_flags & MSG_TRUNC)) say("not cut");
        v.iov_len = sizeof buffer;
        long count = MUST(recvmsg(s, &m, 0));
        if (count != length || from.nl_pid || from.nl_family != AF_NETLINK || m.msg_namelen != sizeof from)
            say("a datagram of %ld bytes, first %ld", count, length);
        for (long at = 0; at + (long)sizeof(struct nlmsghdr) <= count;) {
            struct nlmsghdr *h = (struct nlmsghdr *)(buffer + at);
            if (h->nlmsg_len < sizeof *h || at + h->nlmsg_len > count) say("a message of %u bytes", h->nlmsg_len);
            if (h->nlmsg_len < sizeof *h) return;
            show_message(h, port);
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) return;
            at += (h->nlmsg_len + 3) & ~3;
        }
    }
}

static void ask(int s, const char *what, int type, int flags, int family) {
    struct request r = make(type, flags, family);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    say("-- %s", what);
    MUST(sendto(s, &r, sizeof r, 0, (struct sockaddr *)&kernel, sizeof kernel));
    show_answer(s);
}

static void names(void) {
    int a = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    int b = MUST(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE)), value;
    struct sockaddr_nl name = {.nl_family = AF_NETLINK}, other = {.nl_family = AF_NETLINK, .nl_pid = 0x40000000};
    socklen_t length = sizeof value;
    SHOW_NUMBER(port_of(a));
    SHOW(bind(a, (struct sockaddr *)&name, sizeof name));
    SHOW_TRUE(port_of(a) == (unsigned)getpid());
    SHOW(bind(a, (struct sockaddr *)&other, sizeof other));
    SHOW(bind(b, (struct sockaddr *)&name, 11));
    SHOW(bind(b, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(struct sockaddr_in)));
    SHOW(bind(b, (struct sockaddr *)&name, sizeof name));
    SHOW_TRUE((int)port_of(b) < -4096);
    int c = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)), d = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    SHOW(bind(c, (struct sockaddr *)&other, sizeof other));
    SHOW(bind(d, (struct sockaddr *)&other, sizeof other));
    MUST(close(c));
    SHOW(bind(d, (struct sockaddr *)&other, sizeof other));
    SHOW(getsockopt(a, SOL_SOCKET, SO_TYPE, &value, &length));
    SHOW_NUMBER(value);
    SHOW(getsockopt(a, SOL_SOCKET, SO_DOMAIN, &value, &length));
    SHOW_NUMBER(value);
    SHOW(listen(a, 1));
    SHOW(accept(a, NULL, NULL));
    SHOW(shutdown(a, SHUT_RD));
    SHOW(recv(a, buffer, sizeof buffer, MSG_DONTWAIT));
    SHOW(recv(a, buffer, sizeof buffer, MSG_OOB));
    struct pollfd p = {a, POLLIN | POLLOUT, 0};
    SHOW(poll(&p, 1, 0));
    SHOW_NUMBER(p.revents);
    for (int fd = a; fd <= d; fd++)
        if (fd != c) MUST(close(fd));
    SHOW(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
    SHOW(socket(AF_NETLINK, SOCK_RAW, 99));
}

int main(void) {
    names();
    int s = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    ask(s, "interfaces", RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, AF_UNSPEC);
    ask(s, "addresses", RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, AF_UNSPEC);
    ask(s, "IPv4", RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, AF_INET);
    ask(s, "IPv6", RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP | NLM_F_ACK, AF_INET6);
    ask(s, "no such type", 4000, NLM_F_REQUEST | NLM_F_DUMP, AF_UNSPEC);
    ask(s, "not a request", RTM_GETLINK, NLM_F_ACK, AF_UNSPEC);
    ask(s, "nothing", NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, AF_UNSPEC);
    struct request two[2] = {make(4000, NLM_F_REQUEST, 0), make(4001, NLM_F_REQUEST, 0)};
    MUST(send(s, two, sizeof two, 0));
    show_answer(s);
    show_answer(s);
    struct request cut = make(4000, NLM_F_REQUEST, 0);
    SHOW(send(s, &cut, sizeof cut - 1, 0));
    SHOW(recv(s, buffer, sizeof buffer, MSG_DONTWAIT));
    struct request r = make(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, AF_INET);
    SHOW(write(s, &r, sizeof r));
    wait_readable(s);
    SHOW(read(s, buffer, 20));
    SHOW(send(s, bad_pointer(), 20, 0));
    SHOW(sendto(s, &r, sizeof r, 0, (struct sockaddr *)&(struct sockaddr_nl){.nl_family = AF_INET}, 12));
    return 0;
}
