// A signal ends FUTEX_WAIT with EINTR, restarts it with SA_RESTART.
#include "show.h"
#include <sys/time.h>

static int word;
static volatile int count;

static void handler(int number) {
    (void)number;
    if (++count == 3) {
        word = 1;
        syscall(SYS_futex, &word, 1 | 128, 1, NULL, NULL, 0);
    }
}

int main(void) {
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};
    struct timespec t = {5, 0};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(syscall(SYS_futex, &word, 0 | 128, 0, NULL, NULL, 0));
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    count = 0;
    on_signal(SIGALRM, handler, SA_RESTART);
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    long r = syscall(SYS_futex, &word, 0 | 128, 0, NULL, NULL, 0);
    SHOW_TRUE(r == 0 || errno == EAGAIN);
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    SHOW_TRUE(count >= 3);
    on_signal(SIGALRM, handler, 0);
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(syscall(SYS_futex, &word, 0 | 128, 1, &t, NULL, 0));
    return 0;
}
