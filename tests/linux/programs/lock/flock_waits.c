// A blocking flock gets the lock when the holder lets go, and EINTR when a signal comes first.
#include "show.h"
#include <sys/file.h>
#include <sys/time.h>

static int a, b;

static void handler(int number) {
    (void)number;
}

static void *release(void *argument) {
    (void)argument;
    sleep_ms(30);
    flock(a, LOCK_UN);
    return NULL;
}

int main(void) {
    a = MUST(open("file", O_RDWR | O_CREAT, 0644)), b = MUST(open("file", O_RDWR));
    MUST(flock(a, LOCK_EX));
    on_signal(SIGALRM, handler, 0);
    struct itimerval every = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    SHOW(flock(b, LOCK_EX));
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    pthread_t thread = start_thread(release, NULL);
    SHOW(flock(b, LOCK_EX));
    pthread_join(thread, NULL);
    SHOW(flock(a, LOCK_SH | LOCK_NB));
    return 0;
}
