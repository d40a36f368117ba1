// poll waits at least as long as it was told, and not when something is ready.
#include "show.h"
#include <poll.h>

int main(void) {
    int ends[2];
    MUST(pipe(ends));
    struct pollfd fd = {ends[0], POLLIN, 0};
    long start = now_ms();
    SHOW(poll(&fd, 1, 40));
    long took = now_ms() - start;
    SHOW_TRUE(took >= 39 && took < 1000);
    MUST(write(ends[1], "x", 1));
    start = now_ms();
    SHOW(poll(&fd, 1, 10000));
    SHOW_TRUE(now_ms() - start < 1000);
    struct timespec t = {0, 20000000};
    start = now_ms();
    SHOW(ppoll(NULL, 0, &t, NULL));
    SHOW_TRUE(now_ms() - start >= 19);
    t.tv_nsec = 1000000000;
    SHOW(ppoll(NULL, 0, &t, NULL));
    t = (struct timespec){-1, 0};
    SHOW(ppoll(NULL, 0, &t, NULL));
    return 0;
}
