// Arguments that are refused.
#include "events.h"
#include <sys/ioctl.h>

int main(void) {
    MUST(mkdir("d", 0755));
    MUST(mkdir("closed", 0300));
    SHOW(inotify_init1(1));
    SHOW(inotify_init1(IN_NONBLOCK | O_APPEND));
    int fd = MUST(inotify_init1(IN_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW_NUMBER(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    int plain = MUST(inotify_init());
    SHOW(fcntl(plain, F_GETFD));
    SHOW(inotify_add_watch(-1, "d", IN_CREATE));
    SHOW(inotify_add_watch(0, "d", IN_CREATE));
    SHOW(inotify_add_watch(fd, "d", 0));
    SHOW(inotify_add_watch(-1, "d", 0));
    SHOW(inotify_add_watch(fd, "d", 0x1000));
    SHOW(inotify_add_watch(fd, "d", IN_CREATE | 0x00800000));
    SHOW(inotify_add_watch(0, "d", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "missing", IN_CREATE));
    SHOW(inotify_add_watch(fd, "", IN_CREATE));
    SHOW(inotify_add_watch(fd, bad_pointer(), IN_CREATE));
    SHOW(inotify_add_watch(fd, "d/x/y", IN_CREATE));
    SHOW(inotify_rm_watch(-1, 1));
    SHOW(inotify_rm_watch(0, 1));
    SHOW(inotify_rm_watch(fd, 1));
    SHOW(inotify_rm_watch(fd, -1));
    if (geteuid() == 0) MUST(seteuid(1234));
    SHOW(inotify_add_watch(fd, "closed", IN_CREATE));
    if (getuid() == 0) MUST(seteuid(0));
    char byte;
    SHOW(write(fd, &byte, 1));
    SHOW(pread(fd, &byte, 1, 0));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(ioctl(fd, TCGETS, &byte));
    SHOW(ftruncate(fd, 0));
    char text[64] = "";
    char path[64];
    sprintf(path, "/proc/self/fd/%d", fd);
    MUST(readlink(path, text, sizeof text - 1));
    say("%s", text);
    show_fd("fstat", fd);
    return 0;
}
