// SO_RCVTIMEO and SO_SNDTIMEO end calls with EAGAIN; they read back.
#include "inet.h"
#include <sys/time.h>

int main(void) {
    int pair[2];
    char c;
    static char data[65536];
    tcp_pair(pair);
    struct timeval t = {0, 40000}, got;
    socklen_t length = sizeof got;
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    SHOW(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &got, &length));
    say("%ld.%06ld", (long)got.tv_sec, (long)got.tv_usec);
    long start = now_ms();
    SHOW(recv(pair[0], &c, 1, 0));
    SHOW_TRUE(now_ms() - start >= 35);
    SHOW(read(pair[0], &c, 1));
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
    long n;
    // A part may be sent, and then more again: how much room there is changes with time.
    while ((n = send(pair[0], data, sizeof data, 0)) > 0) continue;
    SHOW_TRUE(n == -1 && errno == EAGAIN);
    t.tv_usec = 1000000;
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, 4));
    return 0;
}
