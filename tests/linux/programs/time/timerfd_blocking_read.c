// A blocking timerfd read sleeps until the timer fires, and across a change of the timer by another thread.
#include "show.h"
#include <sys/timerfd.h>

static int fd;

static void *sooner(void *argument) {
    struct itimerspec t = {{0, 0}, {0, 10000000}};
    (void)argument;
    sleep_ms(20);
    MUST(timerfd_settime(fd, 0, &t, NULL));
    return NULL;
}

int main(void) {
    fd = MUST(timerfd_create(CLOCK_REALTIME, 0));
    struct itimerspec t = {{0, 0}, {0, 30000000}};
    MUST(timerfd_settime(fd, 0, &t, NULL));
    long start = now_ms();
    uint64_t n = 0;
    SHOW(read(fd, &n, 8));
    SHOW_TRUE(now_ms() - start >= 29);
    t.it_value.tv_sec = 100;
    MUST(timerfd_settime(fd, 0, &t, NULL));
    pthread_t thread = start_thread(sooner, NULL);
    SHOW(read(fd, &n, 8));
    SHOW_NUMBER(n);
    pthread_join(thread, NULL);
    return 0;
}
