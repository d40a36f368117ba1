// A child sees the parent's record locks; they go when any descriptor of the file is closed.
#include "show.h"

static int try(int fd, int type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_SETLK, &l);
}

static void query(int fd, off_t start, off_t length) {
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    MUST(fcntl(fd, F_GETLK, &l));
    if (l.l_type == F_UNLCK) say("unlocked");
    else
        say("%s start %ld length %ld whence %d by %s", l.l_type == F_RDLCK ? "read" : "write",
            (long)l.l_start, (long)l.l_len, l.l_whence, l.l_pid == getppid() ? "parent" : "?");
}

int main(int argc, char **argv) {
    (void)argv;
    int fd = MUST(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (argc > 1) {
        query(fd, 0, 0);
        query(fd, 60, 10);
        SHOW(try(fd, F_WRLCK, 5, 10));
        SHOW(try(fd, F_RDLCK, 5, 10));
        SHOW(try(fd, F_RDLCK, 20, 10));
        SHOW(try(fd, F_WRLCK, 20, 10));
        return 0;
    }
    SHOW(try(fd, F_WRLCK, 0, 10));
    SHOW(try(fd, F_RDLCK, 20, 10));
    show_child("child", spawn_self("look", NULL));
    SHOW(close(MUST(open("file", O_RDONLY))));
    show_child("child", spawn_self("look", NULL));
    return 0;
}
