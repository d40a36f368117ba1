// SCM_RIGHTS: the description travels, offset and all; several at once; MSG_CTRUNC; MSG_CMSG_CLOEXEC.
#include "show.h"
#include <sys/socket.h>

static long send_fds(int s, int *fds, int n) {
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {"m", 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return sendmsg(s, &m, 0);
}

static int receive_fds(int s, int *fds, size_t room, int flags) {
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    char data[8];
    struct iovec v = {data, 8};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room};
    long r = SHOW(recvmsg(s, &m, flags));
    if (r < 0) return 0;
    say("MSG_CTRUNC %d", !!(m.msg_flags & MSG_CTRUNC));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c) return 0;
    int n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    return n;
}

int main(void) {
    int pair[2], got[4] = {-1, -1, -1, -1};
    char data[16];
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDONLY));
    MUST(lseek(fd, 4, SEEK_SET));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SHOW(send_fds(pair[0], &fd, 1));
    MUST(close(fd));
    SHOW_NUMBER(receive_fds(pair[1], got, CMSG_SPACE(4 * sizeof(int)), MSG_CMSG_CLOEXEC));
    SHOW(read(got[0], data, 16));
    SHOW(fcntl(got[0], F_GETFD));
    int both[2] = {got[0], pair[0]};
    SHOW(send_fds(pair[0], both, 2));
    SHOW_NUMBER(receive_fds(pair[1], got, CMSG_SPACE(4 * sizeof(int)), 0));
    SHOW(lseek(got[0], 0, SEEK_CUR));
    SHOW(send_fds(pair[0], both, 2));
    SHOW_NUMBER(receive_fds(pair[1], got, CMSG_LEN(sizeof(int)), 0));
    SHOW(send_fds(pair[0], both, 2));
    SHOW(read(pair[1], data, 16));
    int bad = 999;
    SHOW(send_fds(pair[0], &bad, 1));
    return 0;
}
