// Makes the library OS itself fail, where it was built to be asked for that: by which call, and from which thread.
#include "show.h"

static long call;

static void *body(void *argument) {
    (void)argument;
    syscall(call);
    return NULL;
}

static void *look_on(void *argument) {
    (void)argument;
    for (;;) getppid();
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    call = atol(argv[1]);
    say("it runs");
    start_thread(look_on, NULL);
    if (!strcmp(argv[2], "first")) syscall(call);
    // The second thread of the program after the first, or several at once.
    int threads = strcmp(argv[2], "several") ? 1 : 4;
    pthread_t last = {0};
    for (int i = 0; i < threads; i++) last = start_thread(body, NULL);
    pthread_join(last, NULL);
    say("it goes on");
    return 0;
}
