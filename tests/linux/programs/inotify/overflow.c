// A full queue says so once, and takes up again when there is room.
#include "events.h"

static int limit(void) {
    char text[32] = "";
    int fd = MUST(open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY));
    MUST(read(fd, text, sizeof text - 1));
    MUST(close(fd));
    return atoi(text);
}

int main(void) {
    MUST(mkdir("d", 0755));
    make_file("d/a", "");
    make_file("d/b", "");
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    int wd = MUST(inotify_add_watch(fd, "d", IN_ATTRIB));
    int most = limit();
    SHOW_NUMBER(most);
    for (int i = 0; i < most / 2 + 10; i++) {
        MUST(chmod("d/a", 0600));
        MUST(chmod("d/b", 0600));
    }
    static char buffer[1 << 20] __attribute__((aligned(8)));
    long events = 0, lost = 0, last = 0;
    for (long n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
        for (long at = 0; at < n;) {
            struct inotify_event *e = (struct inotify_event *)(buffer + at);
            last = e->mask;
            if (e->mask & IN_Q_OVERFLOW) {
                lost++;
                say("wd %d, name length %d", e->wd, e->len);
            } else {
                events++;
                if (e->wd != wd) say("another watch: %d", e->wd);
            }
            at += sizeof *e + e->len;
        }
    }
    SHOW_NUMBER(events);
    SHOW_NUMBER(lost);
    say("%s", event_names(last));
    MUST(chmod("d/a", 0644));
    show_events("room again", fd);
    return 0;
}
