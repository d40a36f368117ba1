// ppoll and pselect unblock a pending signal for the time of the wait only.
#include "show.h"
#include <poll.h>
#include <sys/select.h>

static void handler(int number) {
    say("handler %d", number);
}

static bool blocked(void) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, SIGUSR1);
}

int main(void) {
    on_signal(SIGUSR1, handler, 0);
    sigset_t block, none;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &block, NULL));
    MUST(raise(SIGUSR1));
    say("pending");
    struct timespec t = {10, 0};
    SHOW(ppoll(NULL, 0, &t, &none));
    SHOW_TRUE(blocked());
    MUST(raise(SIGUSR1));
    SHOW(pselect(0, NULL, NULL, NULL, &t, &none));
    SHOW_TRUE(blocked());
    int ends[2];
    MUST(pipe(ends));
    MUST(write(ends[1], "x", 1));
    MUST(raise(SIGUSR1));
    struct pollfd fd = {ends[0], POLLIN, 0};
    SHOW(ppoll(&fd, 1, &t, &none) == 1 || errno == EINTR);
    sigpending(&none);
    SHOW_TRUE(blocked());
    return 0;
}
