// After rewinddir, or a seek to 0, entries made meanwhile are there and removed ones are gone.
#include "show.h"
#include <dirent.h>

static void list(DIR *d) {
    bool seen[3] = {false, false, false};
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] >= 'a' && e->d_name[0] <= 'c') seen[e->d_name[0] - 'a'] = true;
    say("a %d b %d c %d", seen[0], seen[1], seen[2]);
}

int main(void) {
    MUST(mkdir("d", 0755));
    make_file("d/a", "");
    make_file("d/b", "");
    DIR *d = opendir("d");
    list(d);
    make_file("d/c", "");
    MUST(unlink("d/a"));
    rewinddir(d);
    list(d);
    return 0;
}
