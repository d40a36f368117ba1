// getdents shows every entry once, with its type, and . and ..
#include "show.h"
#include <dirent.h>

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(void) {
    make_file("file", "");
    MUST(mkdir("directory", 0755));
    MUST(symlink("file", "link"));
    MUST(mkfifo("fifo", 0644));
    for (int i = 0; i < 20; i++) {
        char name[300];
        memset(name, 'a' + i, sizeof name);
        name[1 + i * 12] = 0;
        make_file(name, "");
    }
    struct dirent **entries;
    int n = scandir(".", &entries, NULL, by_name);
    SHOW_NUMBER(n);
    for (int i = 0; i < n; i++) {
        struct stat st;
        MUST(lstat(entries[i]->d_name, &st));
        int type = entries[i]->d_type;
        bool dots = entries[i]->d_name[0] == '.';
        say("%.20s (%zu): type %s, inode %s", entries[i]->d_name, strlen(entries[i]->d_name),
            type == DT_REG    ? "file"
            : type == DT_DIR  ? "directory"
            : type == DT_LNK  ? "symlink"
            : type == DT_FIFO ? "fifo"
                              : "?",
            dots || st.st_ino == entries[i]->d_ino ? "same" : "different");
    }
    return 0;
}
