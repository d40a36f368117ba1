// F_OFD_SETLKW sleeps until the range is free.
#include "show.h"
#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static int a, b;

static void *release(void *argument) {
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    (void)argument;
    sleep_ms(30);
    fcntl(a, F_OFD_SETLK, &l);
    return NULL;
}

int main(void) {
    a = MUST(open("file", O_RDWR | O_CREAT, 0644)), b = MUST(open("file", O_RDWR));
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    SHOW(fcntl(a, F_OFD_SETLK, &l));
    l.l_len = 3;
    SHOW(fcntl(b, F_OFD_SETLK, &l));
    long start = now_ms();
    pthread_t thread = start_thread(release, NULL);
    SHOW(fcntl(b, F_OFD_SETLKW, &l));
    SHOW_TRUE(now_ms() - start >= 25);
    l.l_start = 4;
    SHOW(fcntl(b, F_OFD_SETLK, &l));
    pthread_join(thread, NULL);
    return 0;
}
