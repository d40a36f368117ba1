// pthread_cancel ends a thread in a blocking call and in a loop of test points; clean-up handlers run.
#include "show.h"

static int ends[2];
static const char *last = "";

static void clean_up(void *argument) {
    last = argument;
}

static void *in_read(void *argument) {
    char c;
    pthread_cleanup_push(clean_up, "read");
    MUST(read(ends[0], &c, 1));
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_loop(void *argument) {
    pthread_cleanup_push(clean_up, "loop");
    for (;;) pthread_testcancel();
    pthread_cleanup_pop(0);
    return argument;
}

static void *disabled(void *argument) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    sleep_ms(40);
    last = "was not disturbed";
    return argument;
}

int main(void) {
    void *(*bodies[])(void *) = {in_read, in_loop, disabled};
    MUST(pipe(ends));
    for (int i = 0; i < 3; i++) {
        pthread_t thread = start_thread(bodies[i], NULL);
        void *result = NULL;
        sleep_ms(20);
        SHOW_ERROR(pthread_cancel(thread));
        SHOW_ERROR(pthread_join(thread, &result));
        SHOW_TRUE(result == PTHREAD_CANCELED);
        say("%s", last);
    }
    return 0;
}
