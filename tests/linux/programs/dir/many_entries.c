// A directory with 1000 entries: all are listed, stat finds each, removal of every second one leaves the
// others.
#include "show.h"
#include <dirent.h>

static int count(void) {
    DIR *d = opendir("d");
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

int main(void) {
    MUST(mkdir("d", 0755));
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d/%x", i * 7919);
        MUST(close(MUST(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
    }
    SHOW_NUMBER(count());
    for (int i = 0; i < 1000; i += 2) {
        snprintf(name, sizeof name, "d/%x", i * 7919);
        MUST(unlink(name));
    }
    SHOW_NUMBER(count());
    int found = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d/%x", i * 7919);
        found += access(name, F_OK) == 0;
    }
    SHOW_NUMBER(found);
    return 0;
}
