// RLIMIT_FSIZE: a write across it is cut, one beyond it is SIGXFSZ and EFBIG.
#include "show.h"
#include <sys/resource.h>

static void handler(int number) {
    say("signal %d", number == SIGXFSZ ? 25 : number);
}

int main(void) {
    on_signal(SIGXFSZ, handler, 0);
    struct rlimit limit = {10, RLIM_INFINITY};
    MUST(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = 10;
    SHOW(setrlimit(RLIMIT_FSIZE, &limit));
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    SHOW(write(fd, "01234567", 8));
    SHOW(write(fd, "89abcdef", 8));
    SHOW(write(fd, "x", 1));
    SHOW(ftruncate(fd, 11));
    SHOW(ftruncate(fd, 10));
    show_fd("file", fd);
    return 0;
}
