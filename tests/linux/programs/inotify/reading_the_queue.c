// Reads take whole events; equal neighbours are one; FIONREAD counts; poll, epoll and blocking reads wait.
#include "events.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

static void *later(void *unused) {
    sleep_ms(50);
    make_file("d/from-a-thread", "");
    return unused;
}

int main(void) {
    MUST(mkdir("d", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK)), waiting;
    MUST(inotify_add_watch(fd, "d", IN_CREATE | IN_DELETE | IN_MODIFY));
    char buffer[4096] __attribute__((aligned(8)));
    SHOW(read(fd, buffer, 1));
    SHOW(read(fd, buffer, sizeof buffer));
    SHOW(ioctl(fd, FIONREAD, &waiting));
    SHOW_NUMBER(waiting);
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    SHOW(poll(&p, 1, 0));
    MUST(mkdir("d/sixteen-is-more", 0755));
    MUST(mkdir("d/fifteen-or-less", 0755));
    MUST(mkdir("d/short", 0755));
    MUST(mkdir("d/this name fills", 0755));
    MUST(ioctl(fd, FIONREAD, &waiting));
    SHOW_NUMBER(waiting);
    SHOW(poll(&p, 1, 0));
    say("%#x", p.revents);
    SHOW(read(fd, buffer, 0));
    SHOW(read(fd, buffer, 16));
    SHOW(read(fd, buffer, 47));
    SHOW(read(fd, buffer, 48));
    SHOW(read(fd, buffer, 100));
    SHOW(read(fd, bad_pointer(), 100));
    SHOW(read(fd, buffer, 100));
    int file = MUST(open("d/file", O_RDWR | O_CREAT, 0600));
    for (int i = 0; i < 10; i++) MUST(write(file, "x", 1));
    show_events("equal events", fd);
    int other = MUST(open("d/other", O_RDWR | O_CREAT, 0600));
    for (int i = 0; i < 3; i++) {
        MUST(write(file, "x", 1));
        MUST(write(other, "x", 1));
    }
    show_events("alternating", fd);

    int set = MUST(epoll_create1(0));
    struct epoll_event want = {.events = EPOLLIN | EPOLLET}, got;
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, fd, &want));
    SHOW(epoll_wait(set, &got, 1, 0));
    pthread_t thread = start_thread(later, NULL);
    SHOW(epoll_wait(set, &got, 1, 10000));
    pthread_join(thread, NULL);
    show_events("from a thread", fd);
    MUST(fcntl(fd, F_SETFL, 0));
    MUST(unlink("d/from-a-thread"));
    MUST(read(fd, buffer, sizeof buffer));
    thread = start_thread(later, NULL);
    SHOW(read(fd, buffer, sizeof buffer));
    pthread_join(thread, NULL);
    return 0;
}
