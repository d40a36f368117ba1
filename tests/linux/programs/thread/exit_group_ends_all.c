// exit from one thread ends the others in the middle of sleeping and of computing.
#include "show.h"

static volatile long counter;

static void *sleeper(void *argument) {
    pause();
    return argument;
}

static void *spinner(void *argument) {
    for (;;) counter++;
    return argument;
}

static void *ender(void *argument) {
    sleep_ms(20);
    say("exit");
    _exit(23);
    return argument;
}

int main(void) {
    start_thread(sleeper, NULL);
    start_thread(spinner, NULL);
    start_thread(ender, NULL);
    pause();
    say("not reached");
    return 0;
}
