// close_range closes or marks a range of numbers.
#include "show.h"

int main(void) {
    make_file("file", "");
    for (int fd = 50; fd < 60; fd++) MUST(dup2(0, fd));
    SHOW(syscall(SYS_close_range, 52, 54, 0));
    SHOW(syscall(SYS_close_range, 57, 58, 4));
    for (int fd = 50; fd < 61; fd++) say("%d: %d", fd, fcntl(fd, F_GETFD));
    SHOW(syscall(SYS_close_range, 55, 50, 0));
    SHOW(syscall(SYS_close_range, 50, ~0U, 0));
    SHOW(syscall(SYS_close_range, 50, ~0U, 64));
    for (int fd = 50; fd < 61; fd++) say("%d: %d", fd, fcntl(fd, F_GETFD));
    return 0;
}
