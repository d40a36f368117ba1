// One inode has one watch in an instance: what a second call makes of it, and what each manner of watching means.
#include "events.h"

int main(void) {
    MUST(mkdir("d", 0755));
    make_file("d/file", "");
    MUST(symlink("d", "link"));
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(fd, "d", IN_CREATE));
    SHOW(inotify_add_watch(fd, "link", IN_DELETE));
    SHOW(inotify_add_watch(fd, "d/../d/", IN_CREATE | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "d", IN_CREATE | IN_MASK_CREATE | IN_MASK_ADD));
    make_file("d/a", "");
    MUST(unlink("d/a"));
    show_events("replaced", fd);
    SHOW(inotify_add_watch(fd, "d", IN_CREATE | IN_MASK_ADD));
    make_file("d/a", "");
    MUST(unlink("d/a"));
    show_events("added", fd);
    SHOW(inotify_add_watch(fd, "link", IN_CREATE | IN_DONT_FOLLOW));
    SHOW(inotify_add_watch(fd, "link", IN_CREATE | IN_DONT_FOLLOW | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "link", IN_CREATE | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "d/file", IN_CREATE | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "d/file", IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "d/file", IN_ALL_EVENTS | IN_ONESHOT));
    show_content("d/file");
    show_events("once", fd);
    SHOW(inotify_rm_watch(fd, 3));
    SHOW(inotify_add_watch(fd, "d/file", IN_OPEN | IN_ONESHOT));
    SHOW(inotify_add_watch(fd, "d/file", IN_CLOSE | IN_MASK_ADD));
    show_content("d/file");
    show_events("once, after a change", fd);
    SHOW(inotify_add_watch(fd, "d/file", IN_OPEN | IN_ONESHOT));
    SHOW(inotify_add_watch(fd, "d/file", IN_OPEN));
    show_content("d/file");
    show_content("d/file");
    show_events("not once any more", fd);
    SHOW(inotify_rm_watch(fd, 5));
    SHOW(inotify_rm_watch(fd, 5));
    show_events("removed", fd);
    int second = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(second, "d", IN_CREATE));
    make_file("d/b", "");
    show_events("the first instance", fd);
    show_events("the second", second);
    MUST(close(second));
    make_file("d/c", "");
    show_events("the first again", fd);
    return 0;
}
