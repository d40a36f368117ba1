// pidfd_open on a child: poll tells its end, pidfd_send_signal reaches it.
#include "show.h"
#include <poll.h>
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1)
        for (;;) pause();
    pid_t child = spawn_self("x", NULL);
    int fd = SHOW_OK(syscall(SYS_pidfd_open, child, 0));
    SHOW(fcntl(fd, F_GETFD));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    SHOW(poll(&p, 1, 5000));
    show_child("child", child);
    SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    SHOW(syscall(SYS_pidfd_open, 999999999, 0));
    SHOW(syscall(SYS_pidfd_open, getpid(), 0x77));
    return 0;
}
