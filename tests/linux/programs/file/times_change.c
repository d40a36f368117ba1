// Which of a file's three times each operation moves.
#include "show.h"

static struct stat before;

static void mark(const char *path) {
    sleep_ms(12);
    MUST(stat(path, &before));
}

static void moved(const char *what, const char *path) {
    struct stat now;
    MUST(stat(path, &now));
    bool m = memcmp(&now.st_mtim, &before.st_mtim, sizeof now.st_mtim),
         c = memcmp(&now.st_ctim, &before.st_ctim, sizeof now.st_ctim);
    say("%s: mtime %s, ctime %s", what, m ? "moved" : "same", c ? "moved" : "same");
}

int main(void) {
    make_file("file", "text");
    MUST(mkdir("dir", 0755));
    int fd = MUST(open("file", O_RDWR));
    mark("file");
    MUST(write(fd, "x", 1));
    moved("write", "file");
    mark("file");
    MUST(write(fd, "x", 0));
    moved("write of nothing", "file");
    mark("file");
    MUST(chmod("file", 0600));
    moved("chmod", "file");
    mark("file");
    MUST(link("file", "dir/link"));
    moved("link", "file");
    mark("file");
    MUST(ftruncate(fd, 1));
    moved("ftruncate", "file");
    mark("dir");
    MUST(rename("dir/link", "dir/other"));
    moved("rename inside, of the directory", "dir");
    mark("dir");
    MUST(unlink("dir/other"));
    moved("unlink, of the directory", "dir");
    mark("dir");
    make_file("dir/new", "");
    moved("create, of the directory", "dir");
    mark("dir");
    make_file("dir/new", "again");
    moved("writing to a file in it, of the directory", "dir");
    return 0;
}
