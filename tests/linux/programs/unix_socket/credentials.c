// SO_PEERCRED and SCM_CREDENTIALS name this process.
#include "show.h"
#include <sys/socket.h>

int main(void) {
    int pair[2], one = 1;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct ucred cred;
    socklen_t length = sizeof cred;
    SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &length));
    SHOW_TRUE(cred.pid == getpid() && cred.uid == geteuid() && cred.gid == getegid());
    SHOW(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    SHOW(write(pair[0], "x", 1));
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    char c;
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    SHOW(recvmsg(pair[1], &m, 0));
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    SHOW_TRUE(h && h->cmsg_type == SCM_CREDENTIALS);
    if (h) memcpy(&cred, CMSG_DATA(h), sizeof cred);
    SHOW_TRUE(cred.pid == getpid() && cred.uid == getuid());
    return 0;
}
