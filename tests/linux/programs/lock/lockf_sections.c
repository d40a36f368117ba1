// lockf, the C library's view of record locks, relative to the offset.
#include "show.h"

int main(int argc, char **argv) {
    (void)argv;
    int fd = MUST(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (argc > 1) {
        SHOW(lockf(fd, F_TEST, 10));
        SHOW(lockf(fd, F_TLOCK, 10));
        MUST(lseek(fd, 10, SEEK_SET));
        SHOW(lockf(fd, F_TEST, 10));
        SHOW(lockf(fd, F_TEST, -5));
        return 0;
    }
    SHOW(lockf(fd, F_LOCK, 10));
    SHOW(lockf(fd, F_TEST, 10));
    show_child("child", spawn_self("x", NULL));
    SHOW(lockf(fd, F_ULOCK, 10));
    show_child("child", spawn_self("x", NULL));
    return 0;
}
