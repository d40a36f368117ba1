// A detached thread runs to its end; joining it is refused; the process waits for nobody.
#include "show.h"

static int ends[2];

static void *body(void *argument) {
    MUST(write(ends[1], "done", 4));
    return argument;
}

static void *forever(void *argument) {
    for (;;) pause();
    return argument;
}

int main(void) {
    char data[8];
    MUST(pipe(ends));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    SHOW_ERROR(pthread_create(&thread, &attributes, body, NULL));
    SHOW(read(ends[0], data, sizeof data));
    thread = start_thread(body, NULL);
    SHOW_ERROR(pthread_detach(thread));
    SHOW(read(ends[0], data, sizeof data));
    pthread_detach(start_thread(forever, NULL));
    say("main returns");
    return 5;
}
