// sendmsg and recvmsg gather and scatter; msg_name and msg_flags come back.
#include "inet.h"

int main(void) {
    int pair[2];
    tcp_pair(pair);
    struct iovec out[3] = {{"one ", 4}, {NULL, 0}, {"two", 3}};
    struct msghdr m = {.msg_iov = out, .msg_iovlen = 3};
    SHOW(sendmsg(pair[0], &m, 0));
    wait_readable(pair[1]);
    char a[2], b[10];
    struct iovec in[2] = {{a, 2}, {b, 10}};
    struct msghdr r = {.msg_iov = in, .msg_iovlen = 2, .msg_flags = 77, .msg_controllen = 0};
    SHOW(recvmsg(pair[1], &r, 0));
    SHOW_NUMBER(r.msg_flags);
    SHOW_NUMBER(r.msg_namelen);
    show_bytes("a", a, 2);
    show_bytes("b", b, 5);
    SHOW(syscall(SYS_sendmsg, pair[0], bad_pointer(), 0));
    m.msg_iovlen = 1025;
    SHOW(sendmsg(pair[0], &m, 0));
    m.msg_iovlen = 0;
    SHOW(sendmsg(pair[0], &m, 0));
    return 0;
}
