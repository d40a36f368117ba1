// The lowest free number is always taken.
#include "show.h"

int main(void) {
    make_file("file", "");
    int first = MUST(open("file", O_RDONLY));
    int second = MUST(open("file", O_RDONLY));
    int third = MUST(open("file", O_RDONLY));
    SHOW_NUMBER(second - first);
    SHOW_NUMBER(third - first);
    SHOW(close(second));
    SHOW(close(second));
    SHOW_NUMBER(open("file", O_RDONLY) - first);
    SHOW(close(first));
    SHOW_NUMBER(dup(third) - first);
    SHOW_NUMBER(fcntl(third, F_DUPFD, 100));
    SHOW_NUMBER(fcntl(third, F_DUPFD, 100));
    SHOW_NUMBER(fcntl(third, F_DUPFD_CLOEXEC, 50));
    SHOW_NUMBER(fcntl(50, F_GETFD));
    SHOW(close(-1));
    SHOW(close(12345));
    return 0;
}
