// Printing what inotify(7) tells.
#ifndef EVENTS_H
#define EVENTS_H
#include "show.h"
#include <sys/inotify.h>

static inline const char *event_names(uint32_t mask) {
    static __thread char text[256];
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
        {IN_ACCESS, "ACCESS"},       {IN_MODIFY, "MODIFY"},         {IN_ATTRIB, "ATTRIB"},
        {IN_CLOSE_WRITE, "CLOSE_WRITE"}, {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"},
        {IN_MOVED_FROM, "MOVED_FROM"},   {IN_MOVED_TO, "MOVED_TO"},       {IN_CREATE, "CREATE"},
        {IN_DELETE, "DELETE"},       {IN_DELETE_SELF, "DELETE_SELF"},   {IN_MOVE_SELF, "MOVE_SELF"},
        {IN_Q_OVERFLOW, "Q_OVERFLOW"},   {IN_IGNORED, "IGNORED"},       {IN_ISDIR, "ISDIR"},
    };
    text[0] = 0;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(mask & names[i].bit)) continue;
        if (text[0]) strcat(text, "|");
        strcat(text, names[i].name);
        mask &= ~names[i].bit;
    }
    if (mask) sprintf(text + strlen(text), "|%#x", mask);
    return text;
}

// Prints everything that waits. Cookies are shown by the order in which they first came.
static inline void show_events(const char *what, int fd) {
    char buffer[16384] __attribute__((aligned(8)));
    uint32_t cookies[64];
    int known = 0;
    say("-- %s", what);
    for (;;) {
        long n = read(fd, buffer, sizeof buffer);
        if (n <= 0) return;
        for (long at = 0; at < n;) {
            struct inotify_event *e = (struct inotify_event *)(buffer + at);
            int cookie = 0;
            if (e->cookie) {
                while (cookie < known && cookies[cookie] != e->cookie) cookie++;
                if (cookie == known && known < 64) cookies[known++] = e->cookie;
                cookie++;
            }
            say("%d %s%s%s%s", e->wd, event_names(e->mask), e->len ? " " : "", e->len ? e->name : "",
                cookie == 0   ? ""
                : cookie == 1 ? " (move 1)"
                : cookie == 2 ? " (move 2)"
                              : " (a later move)");
            at += sizeof *e + e->len;
        }
    }
}
#endif
