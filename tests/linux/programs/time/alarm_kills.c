// SIGALRM without a handler ends the program.
#include "show.h"
#include <sys/time.h>

int main(void) {
    struct itimerval t = {{0, 0}, {0, 20000}};
    MUST(setitimer(ITIMER_REAL, &t, NULL));
    say("waiting");
    pause();
    say("not reached");
    return 0;
}
