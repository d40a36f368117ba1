// recv and accept: EINTR without SA_RESTART, restarted with it; with a receive time-out never restarted.
#include "show.h"
#include <sys/socket.h>
#include <sys/time.h>

static int pair[2];
static volatile int count, stop_at;

static void handler(int number) {
    (void)number;
    if (++count == stop_at) MUST(write(pair[1], "x", 1));
}

int main(void) {
    char c;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 10000}, {0, 10000}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(recv(pair[0], &c, 1, 0));
    on_signal(SIGALRM, handler, SA_RESTART);
    count = 0, stop_at = 3;
    SHOW(recv(pair[0], &c, 1, 0));
    struct timeval t = {5, 0};
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    SHOW(recv(pair[0], &c, 1, 0));
    return 0;
}
