// ITIMER_VIRTUAL and ITIMER_PROF count the program's own time.
#include "show.h"
#include <sys/time.h>

static volatile int virtual, profile;

static void handler(int number) {
    if (number == SIGVTALRM) virtual++;
    else profile++;
}

int main(void) {
    on_signal(SIGVTALRM, handler, 0);
    on_signal(SIGPROF, handler, 0);
    struct itimerval t = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};
    SHOW(setitimer(ITIMER_VIRTUAL, &t, NULL));
    SHOW(setitimer(ITIMER_PROF, &t, NULL));
    sleep_ms(30);
    SHOW_TRUE(virtual <= 1);
    long end = now_ms() + 1500;
    while ((virtual < 2 || profile < 2) && now_ms() < end) continue;
    SHOW_TRUE(virtual >= 2 && profile >= 2);
    SHOW(setitimer(ITIMER_VIRTUAL, &off, NULL));
    SHOW(setitimer(ITIMER_PROF, &off, NULL));
    return 0;
}
