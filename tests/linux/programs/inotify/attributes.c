// Changes of mode, owner, times, size and extended attributes.
#include "events.h"
#include <dirent.h>
#include <sys/xattr.h>
#include <utime.h>

int main(void) {
    MUST(mkdir("d", 0755));
    make_file("d/file", "text");
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "d/file", IN_ATTRIB | IN_MODIFY));
    MUST(chmod("d/file", 0600));
    show_events("chmod", fd);
    MUST(chown("d/file", getuid(), -1));
    show_events("chown", fd);
    MUST(utime("d/file", NULL));
    show_events("utime", fd);
    struct timespec times[2] = {{1, 0}, {0, UTIME_OMIT}};
    MUST(utimensat(AT_FDCWD, "d/file", times, 0));
    show_events("access time", fd);
    struct timespec modified[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    MUST(utimensat(AT_FDCWD, "d/file", modified, 0));
    show_events("modification time", fd);
    struct timespec none[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    MUST(utimensat(AT_FDCWD, "d/file", none, 0));
    show_events("neither", fd);
    MUST(truncate("d/file", 2));
    show_events("truncate", fd);
    MUST(setxattr("d/file", "user.x", "1", 1, 0));
    MUST(removexattr("d/file", "user.x"));
    show_events("extended attributes", fd);
    MUST(chmod("d", 0700));
    show_events("the directory's mode", fd);
    DIR *dir = opendir("d");
    while (readdir(dir)) continue;
    show_events("listed", fd);
    closedir(dir);
    show_events("and closed", fd);
    struct stat st;
    MUST(stat("d/file", &st));
    MUST(access("d/file", R_OK));
    show_events("looked at", fd);
    return 0;
}
