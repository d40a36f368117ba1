// A handler without SA_RESTART ends a blocking read with EINTR; the next read gets the data.
#include "show.h"
#include <sys/time.h>

static void handler(int number) {
    (void)number;
}

int main(void) {
    int ends[2];
    char c;
    MUST(pipe(ends));
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 15000}, {0, 15000}}, off = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(read(ends[0], &c, 1));
    SHOW(waitpid(-1, NULL, 0));
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    MUST(write(ends[1], "x", 1));
    SHOW(read(ends[0], &c, 1));
    return 0;
}
