// Devices, FIFOs, programs that run, temporary files, and what /proc says about the watches.
#include "events.h"

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return 7;
    MUST(mkdir("d", 0755));
    int unnamed = MUST(open("d", O_RDWR | O_TMPFILE, 0600));
    MUST(write(unnamed, "text", 4));
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "/dev/zero", IN_ALL_EVENTS));
    char byte;
    int zero = MUST(open("/dev/zero", O_RDWR));
    MUST(read(zero, &byte, 1));
    MUST(write(zero, &byte, 1));
    MUST(close(zero));
    show_events("a device", fd);
    MUST(mkfifo("d/fifo", 0600));
    int fifo = MUST(open("d/fifo", O_RDWR | O_NONBLOCK));
    MUST(write(fifo, &byte, 1));
    MUST(read(fifo, &byte, 1));
    MUST(close(fifo));
    show_events("a FIFO", fd);
    char path[64];
    sprintf(path, "/proc/self/fd/%d", unnamed);
    MUST(linkat(AT_FDCWD, path, AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW));
    show_events("a name for a temporary file", fd);
    SHOW(inotify_rm_watch(fd, 1));
    show_events("", fd);
    SHOW(inotify_add_watch(fd, self_path(), IN_OPEN | IN_CLOSE));
    show_child("child", spawn_self("child", NULL));
    show_events("a program", fd);
    SHOW_OK(inotify_add_watch(fd, "/proc/self", IN_OPEN));

    int plain = MUST(inotify_init1(IN_NONBLOCK));
    MUST(inotify_add_watch(plain, "d", IN_CREATE | IN_EXCL_UNLINK));
    MUST(inotify_add_watch(plain, "d/fifo", IN_ALL_EVENTS | IN_ONESHOT));
    sprintf(path, "/proc/self/fdinfo/%d", plain);
    FILE *info = fopen(path, "r");
    char line[512];
    while (fgets(line, sizeof line, info)) {
        unsigned wd, mask, ignored;
        unsigned long ino, device;
        if (sscanf(line, "inotify wd:%x ino:%lx sdev:%lx mask:%x ignored_mask:%x", &wd, &ino, &device, &mask,
                   &ignored) == 5) {
            struct stat st;
            MUST(stat(wd == 1 ? "d" : "d/fifo", &st));
            say("wd %x mask %x ignored %x, inode %s", wd, mask, ignored, ino == st.st_ino ? "matches" : "differs");
        }
    }
    return 0;
}
