// Renames: both names with one cookie, the file itself, and what was replaced.
#include "events.h"

static int rename_with(const char *from, const char *to, unsigned flags) {
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

int main(void) {
    MUST(mkdir("a", 0755));
    MUST(mkdir("b", 0755));
    make_file("a/one", "1");
    make_file("a/two", "2");
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(fd, "a", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "a/one", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "a/two", IN_ALL_EVENTS));
    MUST(rename("a/one", "a/uno"));
    show_events("within a directory", fd);
    MUST(rename("a/uno", "b/uno"));
    show_events("to a directory that nobody watches", fd);
    MUST(rename("b/uno", "a/two"));
    show_events("back, over another", fd);
    SHOW(inotify_add_watch(fd, "b", IN_MOVED_TO | IN_MOVED_FROM));
    MUST(mkdir("a/sub", 0755));
    SHOW(inotify_add_watch(fd, "a/sub", IN_ALL_EVENTS));
    show_events("", fd);
    MUST(rename("a/sub", "b/sub"));
    show_events("a directory", fd);
    make_file("b/sub/x", "");
    MUST(mkdir("a/empty", 0700));
    SHOW(inotify_add_watch(fd, "a/empty", IN_ALL_EVENTS));
    show_events("", fd);
    MUST(rename("b/sub", "a/empty"));
    show_events("over an empty one", fd);
    SHOW(rename_with("a/two", "a/empty", 2));
    show_events("exchanged", fd);
    SHOW(rename_with("a/two", "a/empty", 1));
    SHOW(rename_with("a/missing", "a/more", 0));
    MUST(link("a/empty", "a/same"));
    show_events("", fd);
    MUST(rename("a/empty", "a/same"));
    show_events("two names of one file", fd);
    int file = MUST(open("a/same", O_RDONLY));
    make_file("other", "");
    show_events("", fd);
    MUST(rename("other", "a/same"));
    show_events("over an open file", fd);
    MUST(close(file));
    show_events("which is closed now", fd);
    return 0;
}
