// ioctl on what is not a terminal; FIONREAD, FIONBIO, FIOCLEX.
#include "show.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR)), ends[2];
    struct winsize size;
    struct termios attributes;
    MUST(pipe(ends));
    SHOW(ioctl(fd, TIOCGWINSZ, &size));
    SHOW(ioctl(ends[0], TIOCGWINSZ, &size));
    SHOW(tcgetattr(fd, &attributes));
    SHOW(isatty(fd));
    SHOW(isatty(-1));
    int n = -1;
    MUST(lseek(fd, 4, SEEK_SET));
    SHOW(ioctl(fd, FIONREAD, &n));
    SHOW_NUMBER(n);
    MUST(write(ends[1], "abc", 3));
    SHOW(ioctl(ends[0], FIONREAD, &n));
    SHOW_NUMBER(n);
    SHOW(ioctl(ends[0], FIONREAD, bad_pointer()));
    n = 1;
    SHOW(ioctl(ends[0], FIONBIO, &n));
    SHOW_TRUE(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    SHOW(ioctl(ends[0], FIOCLEX));
    SHOW(fcntl(ends[0], F_GETFD));
    SHOW(ioctl(ends[0], FIONCLEX));
    SHOW(fcntl(ends[0], F_GETFD));
    SHOW(ioctl(fd, 0x12345678, &n));
    SHOW(ioctl(-1, FIONREAD, &n));
    return 0;
}
