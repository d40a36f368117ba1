// inotify: creation, change and removal below a directory are told in order.
#include "show.h"
#include <poll.h>
#include <sys/inotify.h>

int main(void) {
    MUST(mkdir("d", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    SHOW(inotify_add_watch(fd, "d",
                           IN_CREATE | IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE));
    SHOW(inotify_add_watch(fd, "missing", IN_CREATE));
    SHOW(inotify_add_watch(fd, "d", 0));
    char buffer[4096] __attribute__((aligned(8)));
    SHOW(read(fd, buffer, sizeof buffer));
    make_file("d/file", "text");
    MUST(rename("d/file", "d/other"));
    MUST(unlink("d/other"));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 1000));
    long n = read(fd, buffer, sizeof buffer);
    for (long at = 0; at < n;) {
        struct inotify_event *e = (struct inotify_event *)(buffer + at);
        say("%#x %s", e->mask, e->len ? e->name : "");
        at += sizeof *e + e->len;
    }
    SHOW(inotify_rm_watch(fd, 1));
    SHOW(inotify_rm_watch(fd, 99));
    return 0;
}
