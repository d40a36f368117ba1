// telldir/seekdir/rewinddir return to the same entry.
#include "show.h"
#include <dirent.h>

int main(void) {
    for (int i = 0; i < 12; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        make_file(name, "");
    }
    DIR *d = opendir(".");
    char names[20][32];
    long where[20];
    int n = 0;
    for (;;) {
        where[n] = telldir(d);
        struct dirent *e = readdir(d);
        if (!e) break;
        strcpy(names[n++], e->d_name);
    }
    SHOW_NUMBER(n);
    int same = 0;
    for (int i = n - 1; i >= 0; i--) {
        seekdir(d, where[i]);
        struct dirent *e = readdir(d);
        same += e && !strcmp(e->d_name, names[i]);
    }
    SHOW_NUMBER(same);
    seekdir(d, where[n]);
    SHOW_TRUE(readdir(d) == NULL);
    rewinddir(d);
    SHOW_TRUE(!strcmp(readdir(d)->d_name, names[0]));
    SHOW_OK(dirfd(d));
    SHOW(closedir(d));
    SHOW_TRUE(opendir("f0") == NULL);
    SHOW_TRUE(opendir("missing") == NULL);
    return 0;
}
