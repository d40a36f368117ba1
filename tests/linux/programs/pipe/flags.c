// pipe2's flags.
#include "show.h"

static void show_flags(int fd) {
    int flags = fcntl(fd, F_GETFL);
    say("access %d nonblock %d cloexec %d", flags & O_ACCMODE, !!(flags & O_NONBLOCK), fcntl(fd, F_GETFD));
}

int main(void) {
    int ends[2];
    SHOW(pipe2(ends, 0));
    show_flags(ends[0]);
    show_flags(ends[1]);
    SHOW(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    show_flags(ends[0]);
    show_flags(ends[1]);
    char c;
    SHOW(read(ends[0], &c, 1));
    SHOW(syscall(SYS_pipe2, ends, O_CREAT));
    SHOW(syscall(SYS_pipe2, ends, 0x1));
    SHOW(fcntl(ends[0], F_SETFL, 0));
    SHOW(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
    return 0;
}
