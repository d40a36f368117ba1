// select: sets in and out, time-out written back, bad descriptors, nfds, numbers beyond the table.
#include "show.h"
#include <sys/select.h>

// A child has a fresh table: numbers beyond its 64 slots are not looked at, those within are not open.
static int in_child(void) {
    fd_set in;
    struct timeval t = {0, 0};
    FD_ZERO(&in);
    FD_SET(200, &in);
    SHOW(select(201, &in, NULL, NULL, &t));
    say("200: %d", !!FD_ISSET(200, &in));
    FD_SET(63, &in);
    SHOW(select(64, &in, NULL, NULL, &t));
    FD_CLR(63, &in);
    SHOW(dup2(0, 100));
    FD_SET(127, &in);
    SHOW(select(201, &in, NULL, NULL, &t));
    FD_CLR(127, &in);
    SHOW(select(201, &in, NULL, NULL, &t));
    SHOW(close(dup2(0, 130)));
    SHOW(select(201, &in, NULL, NULL, &t));
    return 0;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return in_child();
    int a[2], b[2];
    MUST(pipe(a));
    MUST(pipe(b));
    MUST(dup2(a[0], 70));
    MUST(write(a[1], "x", 1));
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(70, &in);
    FD_SET(b[0], &in);
    FD_SET(b[1], &out);
    struct timeval t = {5, 0};
    SHOW(select(71, &in, &out, NULL, &t));
    say("70: %d, b[0]: %d, b[1]: %d", !!FD_ISSET(70, &in), !!FD_ISSET(b[0], &in), !!FD_ISSET(b[1], &out));
    SHOW_TRUE(t.tv_sec >= 4);
    FD_ZERO(&in);
    FD_SET(b[0], &in);
    t = (struct timeval){0, 20000};
    long start = now_ms();
    SHOW(select(b[0] + 1, &in, NULL, NULL, &t));
    SHOW_TRUE(now_ms() - start >= 19);
    say("%ld.%06ld set %d", (long)t.tv_sec, (long)t.tv_usec, !!FD_ISSET(b[0], &in));
    FD_SET(200, &in);
    MUST(close(dup2(a[0], 300)));  // the table grows beyond 200, and stays
    SHOW(select(201, &in, NULL, NULL, &t));
    SHOW(select(-1, NULL, NULL, NULL, &t));
    t.tv_sec = -1;
    SHOW(select(0, NULL, NULL, NULL, &t));
    FD_ZERO(&in);
    FD_SET(70, &in);
    t = (struct timeval){0, 0};
    SHOW(select(70, &in, NULL, NULL, &t));
    MUST(close(70));
    show_child("child", spawn_self("fresh", NULL));
    return 0;
}
