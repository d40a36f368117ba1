// timerfd: expirations counted, settings, absolute times, non-blocking, refusals.
#include "show.h"
#include <poll.h>
#include <sys/timerfd.h>

int main(void) {
    int fd = SHOW_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    uint64_t n = 0;
    SHOW(read(fd, &n, 8));
    struct itimerspec t = {{0, 0}, {0, 20000000}}, old;
    SHOW(timerfd_settime(fd, 0, &t, NULL));
    SHOW(timerfd_gettime(fd, &old));
    SHOW_TRUE(old.it_value.tv_sec == 0 && old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 20000000);
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 0));
    SHOW(poll(&p, 1, 5000));
    SHOW(read(fd, &n, 8));
    SHOW_NUMBER(n);
    SHOW(read(fd, &n, 8));
    t = (struct itimerspec){{0, 5000000}, {0, 5000000}};
    SHOW(timerfd_settime(fd, 0, &t, NULL));
    sleep_ms(40);
    SHOW(read(fd, &n, 8));
    SHOW_TRUE(n >= 7 && n < 200);
    t = (struct itimerspec){{0, 0}, {0, 1}};
    SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, &old));
    SHOW_NUMBER(old.it_interval.tv_nsec);
    SHOW(poll(&p, 1, 5000));
    SHOW(read(fd, &n, 8));
    SHOW_NUMBER(n);
    t.it_value.tv_nsec = 1000000000;
    SHOW(timerfd_settime(fd, 0, &t, NULL));
    t.it_value.tv_nsec = 1;
    SHOW(timerfd_settime(fd, 0x100, &t, NULL));
    SHOW(timerfd_settime(0, 0, &t, NULL));
    SHOW(timerfd_create(99, 0));
    SHOW(timerfd_create(CLOCK_MONOTONIC, 0x1));
    SHOW(read(fd, &n, 4));
    SHOW(write(fd, &n, 8));
    return 0;
}
