// F_OFD_SETLK: locks belong to the open description, so two in one process do conflict.
#include "show.h"
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

static int ofd(int fd, int type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_OFD_SETLK, &l);
}

int main(void) {
    int a = MUST(open("file", O_RDWR | O_CREAT, 0644)), b = MUST(open("file", O_RDWR)), copy = MUST(dup(a));
    SHOW(ofd(a, F_WRLCK, 0, 10));
    SHOW(ofd(b, F_WRLCK, 5, 10));
    SHOW(ofd(b, F_RDLCK, 9, 1));
    SHOW(ofd(b, F_WRLCK, 10, 10));
    SHOW(ofd(copy, F_WRLCK, 0, 5));
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    SHOW(fcntl(b, F_OFD_GETLK, &l));
    say("type %d start %ld length %ld pid %d", l.l_type == F_WRLCK, (long)l.l_start, (long)l.l_len, l.l_pid);
    l = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 5};
    SHOW(fcntl(b, F_OFD_SETLK, &l));
    SHOW(close(a));
    SHOW(ofd(b, F_WRLCK, 0, 5));
    SHOW(close(copy));
    SHOW(ofd(b, F_WRLCK, 0, 5));
    return 0;
}
