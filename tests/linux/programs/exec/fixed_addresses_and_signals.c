// Signals between a parent and children linked to the same addresses: while one computes, while one sleeps, and the end of a
// child by a fault of its own.
//: flags -no-pie -fno-pie
#include "show.h"
#include <sys/time.h>

static volatile int seen;
static volatile long counter;

static void handler(int number) {
    (void)number;
    seen++;
}

int main(int argc, char **argv) {
    if (argc > 1 && argv[1][0] == 'c') {
        // Computes until the parent's signal comes, and answers it.
        signal(SIGUSR1, handler);
        kill(getppid(), SIGUSR2);
        while (!seen) counter++;
        kill(getppid(), SIGUSR2);
        return counter > 0 ? 3 : 4;
    }
    if (argc > 1 && argv[1][0] == 'f') {
        seen = 77;
        *(volatile int *)(argc > 2 ? (char *)8 : NULL) = 1;
    }
    if (argc > 1)
        for (;;) counter++;
    signal(SIGUSR2, handler);
    pid_t child = spawn_self("compute", NULL);
    while (seen < 1) counter++;
    SHOW(kill(child, SIGUSR1));
    while (seen < 2) usleep(1000);
    show_child("answered", child);
    SHOW_NUMBER(seen);
    child = spawn_self("endless", NULL);
    sleep_ms(20);
    SHOW(kill(child, SIGTERM));
    show_child("endless", child);
    child = spawn_self("fault", NULL);
    show_child("fault", child);
    SHOW_NUMBER(seen);
    struct itimerval soon = {.it_value.tv_usec = 50000};
    signal(SIGALRM, handler);
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    child = spawn_self("endless", NULL);
    while (seen < 3) counter++;
    SHOW(kill(child, SIGKILL));
    show_child("endless", child);
    return 0;
}
