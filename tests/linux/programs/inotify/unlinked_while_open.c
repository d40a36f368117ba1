// A file that is open outlives its name, and so does its watch; a directory's watch may ask not to hear of it.
#include "events.h"

static void go(uint32_t manner) {
    make_file("d/file", "text");
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    MUST(inotify_add_watch(fd, "d", IN_ALL_EVENTS | manner));
    MUST(inotify_add_watch(fd, "d/file", IN_ALL_EVENTS | manner));
    int file = MUST(open("d/file", O_RDWR));
    MUST(unlink("d/file"));
    show_events("unlinked", fd);
    char byte;
    MUST(read(file, &byte, 1));
    MUST(write(file, &byte, 1));
    MUST(fchmod(file, 0600));
    show_events("used", fd);
    MUST(close(file));
    show_events("closed", fd);
    SHOW(inotify_rm_watch(fd, 2));
    MUST(close(fd));
}

int main(void) {
    MUST(mkdir("d", 0755));
    go(0);
    go(IN_EXCL_UNLINK);
    MUST(mkdir("d/sub", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    MUST(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    MUST(inotify_add_watch(fd, "d/sub", IN_ALL_EVENTS));
    int sub = MUST(open("d/sub", O_RDONLY | O_DIRECTORY));
    MUST(rmdir("d/sub"));
    show_events("an open directory", fd);
    MUST(close(sub));
    show_events("closed", fd);
    return 0;
}
