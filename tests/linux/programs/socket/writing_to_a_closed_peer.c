// Writing after the peer reset: EPIPE with SIGPIPE, without it under MSG_NOSIGNAL.
#include "inet.h"

static void handler(int number) {
    say("signal %d", number);
}

int main(void) {
    int pair[2];
    char c;
    on_signal(SIGPIPE, handler, 0);
    tcp_pair(pair);
    MUST(write(pair[0], "unread", 6));
    wait_readable(pair[1]);
    MUST(close(pair[1]));
    wait_readable(pair[0]);
    SHOW(recv(pair[0], &c, 1, 0));
    SHOW(recv(pair[0], &c, 1, 0));
    SHOW(send(pair[0], "x", 1, MSG_NOSIGNAL));
    SHOW(send(pair[0], "x", 1, 0));
    SHOW(write(pair[0], "x", 1));
    return 0;
}
