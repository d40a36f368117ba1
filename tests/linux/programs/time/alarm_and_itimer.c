// alarm and setitimer: what is left, what is replaced, repetition, refusals.
#include "show.h"
#include <sys/time.h>

static volatile int count;

static void handler(int number) {
    (void)number;
    count++;
}

int main(void) {
    on_signal(SIGALRM, handler, 0);
    SHOW_NUMBER(alarm(100));
    SHOW_NUMBER(alarm(50));
    struct itimerval t, old;
    SHOW(getitimer(ITIMER_REAL, &t));
    SHOW_TRUE(t.it_value.tv_sec == 49 || t.it_value.tv_sec == 50);
    SHOW_NUMBER(t.it_interval.tv_sec);
    SHOW_NUMBER(alarm(0));
    SHOW(getitimer(ITIMER_REAL, &t));
    say("%ld %ld", (long)t.it_value.tv_sec, (long)t.it_value.tv_usec);
    t = (struct itimerval){{0, 5000}, {0, 5000}};
    SHOW(setitimer(ITIMER_REAL, &t, NULL));
    while (count < 4) pause();
    t = (struct itimerval){{0, 0}, {0, 0}};
    SHOW(setitimer(ITIMER_REAL, &t, &old));
    SHOW_NUMBER(old.it_interval.tv_usec);
    t.it_value.tv_usec = 1000000;
    SHOW(setitimer(ITIMER_REAL, &t, NULL));
    SHOW(syscall(SYS_setitimer, 77, &t, NULL));
    SHOW(syscall(SYS_getitimer, 77, &t));
    SHOW(syscall(SYS_setitimer, ITIMER_REAL, bad_pointer(), NULL));
    return 0;
}
