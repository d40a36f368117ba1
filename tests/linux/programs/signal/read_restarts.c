// With SA_RESTART the read goes on after the handler, as often as needed.
#include "show.h"
#include <sys/time.h>

static int ends[2];
static volatile int count;

static void handler(int number) {
    (void)number;
    if (++count == 4) MUST(write(ends[1], "data", 4));
}

int main(void) {
    char data[8];
    MUST(pipe(ends));
    on_signal(SIGALRM, handler, SA_RESTART);
    struct itimerval every = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(read(ends[0], data, sizeof data));
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    SHOW_TRUE(count >= 4);
    return 0;
}
