// A blocking read waits for a write, a blocking write for room; poll tells both.
#include "show.h"
#include <poll.h>
#include <sys/eventfd.h>

static int fd;

static void look(const char *what) {
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    say("%s: %#x", what, p.revents);
}

static void *adder(void *argument) {
    uint64_t v = 5;
    (void)argument;
    sleep_ms(20);
    MUST(write(fd, &v, 8));
    return NULL;
}

static void *taker(void *argument) {
    uint64_t v;
    (void)argument;
    sleep_ms(20);
    MUST(read(fd, &v, 8));
    return NULL;
}

int main(void) {
    fd = MUST(eventfd(0, 0));
    look("zero");
    pthread_t thread = start_thread(adder, NULL);
    uint64_t v = 0;
    SHOW(read(fd, &v, 8));
    SHOW_NUMBER(v);
    pthread_join(thread, NULL);
    v = UINT64_MAX - 1;
    SHOW(write(fd, &v, 8));
    look("full");
    thread = start_thread(taker, NULL);
    v = 1;
    SHOW(write(fd, &v, 8));
    pthread_join(thread, NULL);
    look("one");
    return 0;
}
