// F_GETFL shows the access mode and status flags, not the creation flags; F_SETFL changes only some.
#include "show.h"

static void show_flags(const char *what, int fd) {
    int flags = fcntl(fd, F_GETFL);
    say("%s: mode %d%s%s%s%s%s", what, flags & O_ACCMODE, flags & O_APPEND ? " append" : "",
        flags & O_NONBLOCK ? " nonblock" : "", flags & O_CREAT ? " creat" : "",
        flags & O_TRUNC ? " trunc" : "", flags & O_DIRECTORY ? " directory" : "");
}

int main(void) {
    show_flags("create", MUST(open("file", O_WRONLY | O_CREAT | O_TRUNC | O_EXCL, 0644)));
    int fd = MUST(open("file", O_RDWR | O_APPEND | O_NONBLOCK));
    show_flags("open", fd);
    SHOW(fcntl(fd, F_SETFL, O_WRONLY));
    show_flags("set to O_WRONLY", fd);
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK | O_TRUNC | O_CREAT));
    show_flags("set to O_NONBLOCK", fd);
    show_flags("directory", MUST(open(".", O_RDONLY | O_DIRECTORY)));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFD, 0));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_NOTIFY, 0));
    SHOW(fcntl(fd, F_NOTIFY, DN_MULTISHOT));
    SHOW(fcntl(fd, F_NOTIFY, DN_CREATE));
    SHOW(fcntl(MUST(open(".", O_RDONLY)), F_NOTIFY, 0));
    SHOW(fcntl(-1, F_NOTIFY, 0));
    SHOW(fcntl(fd, 9999));
    SHOW(fcntl(-1, F_GETFL));
    return 0;
}
