// A blocking pipe write that was interrupted after some bytes says how many; before any, EINTR.
#include "show.h"
#include <sys/time.h>

static void handler(int number) {
    (void)number;
}

int main(void) {
    int ends[2];
    static char data[100000];
    MUST(pipe(ends));
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 15000}, {0, 15000}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(write(ends[1], data, sizeof data));
    SHOW(write(ends[1], data, 10));
    return 0;
}
