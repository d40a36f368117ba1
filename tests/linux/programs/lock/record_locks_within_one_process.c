// F_SETLK inside one process: ranges never conflict with themselves; F_GETLK answers F_UNLCK.
#include "show.h"

static int lock(int fd, int command, int type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int r = fcntl(fd, command, &l);
    if (command == F_GETLK && r == 0)
        say("type %s", l.l_type == F_UNLCK ? "unlocked" : l.l_type == F_RDLCK ? "read" : "write");
    return r;
}

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR)), ro = MUST(open("file", O_RDONLY)), wo = MUST(open("file", O_WRONLY));
    SHOW(lock(fd, F_SETLK, F_WRLCK, 0, 0));
    SHOW(lock(ro, F_SETLK, F_RDLCK, 2, 3));
    SHOW(lock(fd, F_GETLK, F_WRLCK, 0, 0));
    SHOW(lock(ro, F_SETLK, F_WRLCK, 0, 0));
    SHOW(lock(wo, F_SETLK, F_RDLCK, 0, 0));
    SHOW(lock(fd, F_SETLK, F_UNLCK, 0, 0));
    SHOW(lock(fd, F_SETLK, F_UNLCK, 0, 0));
    SHOW(lock(fd, F_SETLK, 77, 0, 0));
    SHOW(lock(fd, F_SETLK, F_WRLCK, -1, 0));
    SHOW(lock(fd, F_SETLK, F_WRLCK, 5, -5));
    SHOW(lock(fd, F_SETLK, F_WRLCK, 5, -6));
    SHOW(lock(-1, F_SETLK, F_WRLCK, 0, 0));
    SHOW(fcntl(fd, F_SETLK, bad_pointer()));
    return 0;
}
