// poll's arguments: negative descriptors are skipped, closed ones are POLLNVAL, too many are EINVAL.
#include "show.h"
#include <poll.h>
#include <sys/resource.h>

int main(void) {
    make_file("file", "x");
    int file = MUST(open("file", O_RDWR));
    struct pollfd fds[4] = {
        {-1, POLLIN, 7}, {file, POLLIN | POLLOUT | POLLPRI, 0}, {999, POLLIN, 0}, {file, 0, 7}};
    SHOW(poll(fds, 4, -1));
    for (int i = 0; i < 4; i++) say("%d: %#x", i, fds[i].revents);
    SHOW(poll(NULL, 0, 0));
    SHOW(poll(NULL, 0, 5));
    SHOW(poll(bad_pointer(), 1, 0));
    struct rlimit limit = {0, 0};
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    SHOW(poll(fds, limit.rlim_cur + 1, 0));
    fds[0].fd = MUST(open(".", O_RDONLY));
    fds[0].events = POLLIN | POLLOUT;
    fds[1].fd = MUST(open("/dev/null", O_RDWR));
    SHOW(poll(fds, 2, 0));
    say("directory %#x null %#x", fds[0].revents, fds[1].revents);
    return 0;
}
