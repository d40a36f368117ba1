// Names that come and go, of all kinds.
#include "events.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    MUST(mkdir("d", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(fd, "d", IN_CREATE | IN_DELETE | IN_ATTRIB));
    MUST(mkdir("d/sub", 0755));
    MUST(symlink("nowhere", "d/link"));
    MUST(mkfifo("d/fifo", 0600));
    MUST(mknod("d/node", S_IFREG | 0600, 0));
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "d/socket"};
    int s = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(s, (struct sockaddr *)&name, sizeof name));
    show_events("made", fd);
    MUST(link("d/node", "d/second"));
    show_events("linked", fd);
    SHOW(inotify_add_watch(fd, "d/node", IN_ALL_EVENTS));
    MUST(link("d/node", "third"));
    show_events("linked elsewhere", fd);
    MUST(unlink("third"));
    show_events("unlinked elsewhere", fd);
    MUST(unlink("d/node"));
    show_events("one name less", fd);
    MUST(unlink("d/second"));
    show_events("the last name", fd);
    SHOW(inotify_rm_watch(fd, 2));
    SHOW(inotify_add_watch(fd, "d/sub", IN_ALL_EVENTS));
    MUST(mkdir("d/sub/deeper", 0700));
    show_events("in a directory of the directory", fd);
    MUST(rmdir("d/sub/deeper"));
    MUST(rmdir("d/sub"));
    show_events("directories go", fd);
    SHOW(inotify_add_watch(fd, "d/link", IN_ALL_EVENTS | IN_DONT_FOLLOW));
    MUST(lchown("d/link", getuid(), getgid()));
    show_events("a link itself", fd);
    MUST(unlink("d/link"));
    MUST(unlink("d/fifo"));
    MUST(unlink("d/socket"));
    MUST(close(s));
    show_events("the rest", fd);
    MUST(rmdir("d"));
    show_events("the directory", fd);
    SHOW(mkdir("d", 0755));
    show_events("a new directory of that name", fd);
    return 0;
}
