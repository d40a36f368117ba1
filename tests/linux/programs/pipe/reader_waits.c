// A blocking read sleeps until data or end of file; a blocking write until there is room.
#include "show.h"

static int ends[2];
static char data[100000];

static void *writer(void *argument) {
    (void)argument;
    sleep_ms(20);
    MUST(write(ends[1], "late", 4));
    sleep_ms(20);
    MUST(close(ends[1]));
    return NULL;
}

static void *reader(void *argument) {
    (void)argument;
    sleep_ms(20);
    long total = 0;
    while (total < 100000) total += MUST(read(ends[0], data, 30000));
    return (void *)total;
}

int main(void) {
    MUST(pipe(ends));
    // Before the writer: it may be through with its sleep when this thread next runs.
    long start = now_ms();
    pthread_t thread = start_thread(writer, NULL);
    long n = read(ends[0], data, 100);
    SHOW_TRUE(now_ms() - start >= 15);
    long end = read(ends[0], data, 100);
    pthread_join(thread, NULL);
    SHOW_NUMBER(n);
    SHOW_NUMBER(end);
    MUST(pipe(ends));
    thread = start_thread(reader, NULL);
    SHOW(write(ends[1], data, 100000));
    void *total;
    pthread_join(thread, &total);
    SHOW_NUMBER(total);
    return 0;
}
