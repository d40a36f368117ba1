// A seqpacket listener: records with borders both ways, MSG_EOR, MSG_TRUNC.
#include "show.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
    int listener = MUST(socket(AF_UNIX, SOCK_SEQPACKET, 0)),
        client = MUST(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    MUST(bind(listener, (struct sockaddr *)&a, sizeof a));
    MUST(listen(listener, 1));
    SHOW(connect(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
    SHOW(connect(client, (struct sockaddr *)&a, sizeof a));
    int server = MUST(accept(listener, NULL, NULL));
    SHOW(send(client, "record one", 10, MSG_EOR));
    SHOW(send(client, "two", 3, 0));
    char data[4];
    struct iovec v = {data, 4};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    SHOW(recvmsg(server, &m, 0));
    SHOW_TRUE(m.msg_flags & MSG_TRUNC);
    SHOW(recvmsg(server, &m, 0));
    SHOW_TRUE(m.msg_flags & MSG_TRUNC);
    MUST(close(client));
    SHOW(recvmsg(server, &m, 0));
    return 0;
}
