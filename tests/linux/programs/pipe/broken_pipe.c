// Writing with no reader left: EPIPE, and SIGPIPE unless ignored.
#include "show.h"

static void handler(int number) {
    say("signal %d", number);
}

int main(void) {
    int ends[2];
    on_signal(SIGPIPE, handler, 0);
    MUST(pipe(ends));
    MUST(close(ends[0]));
    SHOW(write(ends[1], "x", 1));
    SHOW(write(ends[1], "", 0));
    SHOW(write(ends[1], bad_pointer(), 1));
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(ends[1], "x", 1));
    return 0;
}
