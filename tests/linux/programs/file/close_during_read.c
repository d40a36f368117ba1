// Closing a descriptor while another thread sleeps in read on it: the read goes on and gets the data.
#include "show.h"

static int ends[2];
static long got = -2;

static void *reader(void *argument) {
    char c;
    (void)argument;
    got = read(ends[0], &c, 1);
    return NULL;
}

int main(void) {
    MUST(pipe(ends));
    int keep = MUST(dup(ends[0]));
    pthread_t thread = start_thread(reader, NULL);
    sleep_ms(30);
    SHOW(close(ends[0]));
    sleep_ms(20);
    SHOW_NUMBER(got);
    SHOW(write(ends[1], "x", 1));
    pthread_join(thread, NULL);
    SHOW_NUMBER(got);
    SHOW(fcntl(ends[0], F_GETFD));
    SHOW(close(keep));
    return 0;
}
