// Deleting each entry as readdir returns it empties the directory; nothing is skipped.
#include "show.h"
#include <dirent.h>

int main(void) {
    MUST(mkdir("d", 0755));
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/a-rather-long-name-%d", i);
        make_file(name, "");
    }
    DIR *d = opendir("d");
    int removed = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') removed += unlinkat(dirfd(d), e->d_name, 0) == 0;
    closedir(d);
    SHOW_NUMBER(removed);
    SHOW(rmdir("d"));
    return 0;
}
