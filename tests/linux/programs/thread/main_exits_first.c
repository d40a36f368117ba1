// pthread_exit in main leaves the others running; the process ends with status 0 after the last.
#include "show.h"

static void *body(void *argument) {
    sleep_ms(30);
    say("the last thread");
    return argument;
}

int main(void) {
    start_thread(body, NULL);
    say("main leaves");
    pthread_exit(NULL);
}
