// sendmmsg and recvmmsg move several datagrams at once.
#include "inet.h"

int main(void) {
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_in at = loopback(0);
    socklen_t length = sizeof at;
    MUST(bind(b, (struct sockaddr *)&at, sizeof at));
    MUST(getsockname(b, (struct sockaddr *)&at, &length));
    MUST(connect(a, (struct sockaddr *)&at, sizeof at));
    struct iovec out[3] = {{"a", 1}, {"bb", 2}, {"ccc", 3}};
    struct mmsghdr m[5] = {0};
    for (int i = 0; i < 3; i++) m[i].msg_hdr.msg_iov = &out[i], m[i].msg_hdr.msg_iovlen = 1;
    SHOW(sendmmsg(a, m, 3, 0));
    say("%u %u %u", m[0].msg_len, m[1].msg_len, m[2].msg_len);
    char data[5][8];
    struct iovec in[5];
    for (int i = 0; i < 5; i++) {
        in[i] = (struct iovec){data[i], 8};
        m[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
    }
    wait_readable(b);
    SHOW(recvmmsg(b, m, 5, MSG_DONTWAIT, NULL));
    say("%u %u %u", m[0].msg_len, m[1].msg_len, m[2].msg_len);
    SHOW(recvmmsg(b, m, 5, MSG_DONTWAIT, NULL));
    return 0;
}
