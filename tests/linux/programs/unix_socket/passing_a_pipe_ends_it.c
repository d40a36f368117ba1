// A pipe's write end that only a message holds keeps the pipe open until the message is dropped.
#include "show.h"
#include <sys/socket.h>

int main(void) {
    int pair[2], ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(pipe2(ends, O_NONBLOCK));
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {"m", 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
    SHOW(sendmsg(pair[0], &m, 0));
    MUST(close(ends[1]));
    char data[4];
    SHOW(read(ends[0], data, 1));
    MUST(close(pair[0]));
    SHOW(read(ends[0], data, 1));
    MUST(close(pair[1]));
    sleep_ms(10);
    SHOW(read(ends[0], data, 1));
    return 0;
}
