// poll sleeps over several descriptors and wakes for the right one.
#include "show.h"
#include <poll.h>

static int a[2], b[2];

static void *later(void *argument) {
    (void)argument;
    sleep_ms(150);
    MUST(write(b[1], "x", 1));
    sleep_ms(150);
    MUST(close(a[1]));
    return NULL;
}

int main(void) {
    MUST(pipe(a));
    MUST(pipe(b));
    pthread_t thread = start_thread(later, NULL);
    struct pollfd fds[2] = {{a[0], POLLIN, 0}, {b[0], POLLIN, 0}};
    SHOW(poll(fds, 2, -1));
    say("%#x %#x", fds[0].revents, fds[1].revents);
    char c;
    MUST(read(b[0], &c, 1));
    SHOW(poll(fds, 2, -1));
    say("%#x %#x", fds[0].revents, fds[1].revents);
    pthread_join(thread, NULL);
    return 0;
}
