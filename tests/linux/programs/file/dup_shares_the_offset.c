// Duplicates share one offset and status flags, separate opens do not; close-on-exec belongs to the number.
#include "show.h"

int main(void) {
    make_file("file", "abcdefgh");
    int fd = MUST(open("file", O_RDWR | O_CLOEXEC));
    int copy = MUST(dup(fd));
    int other = MUST(open("file", O_RDWR));
    SHOW(lseek(fd, 4, SEEK_SET));
    SHOW(lseek(copy, 0, SEEK_CUR));
    SHOW(lseek(other, 0, SEEK_CUR));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(copy, F_GETFD));
    SHOW(fcntl(copy, F_SETFL, O_APPEND | O_NONBLOCK));
    SHOW_TRUE(fcntl(fd, F_GETFL) & O_APPEND);
    SHOW_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
    SHOW_TRUE(fcntl(other, F_GETFL) & O_APPEND);
    SHOW(close(fd));
    SHOW(lseek(copy, 0, SEEK_CUR));
    return 0;
}
