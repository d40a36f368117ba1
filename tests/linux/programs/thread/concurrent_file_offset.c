// Threads that share one descriptor: each byte is read by exactly one, each write lands once.
#include "show.h"

static int in, out;
static int seen[4096];

static void *body(void *argument) {
    uint32_t record;
    while (read(in, &record, 4) == 4) {
        __sync_fetch_and_add(&seen[record], 1);
        MUST(write(out, &record, 4));
    }
    return argument;
}

int main(void) {
    in = MUST(open("in", O_RDWR | O_CREAT, 0644));
    out = MUST(open("out", O_RDWR | O_CREAT, 0644));
    for (uint32_t i = 0; i < 4096; i++) MUST(write(in, &i, 4));
    MUST(lseek(in, 0, SEEK_SET));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) threads[i] = start_thread(body, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    int once = 0, written[4096] = {0}, right = 0;
    for (int i = 0; i < 4096; i++) once += seen[i] == 1;
    SHOW_NUMBER(once);
    show_fd("out", out);
    uint32_t record;
    MUST(lseek(out, 0, SEEK_SET));
    while (read(out, &record, 4) == 4) written[record]++;
    for (int i = 0; i < 4096; i++) right += written[i] == 1;
    SHOW_NUMBER(right);
    return 0;
}
