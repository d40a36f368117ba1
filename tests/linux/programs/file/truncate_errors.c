// truncate and ftruncate where they must fail.
#include "show.h"

int main(void) {
    make_file("file", "0123");
    MUST(mkdir("directory", 0755));
    MUST(symlink("file", "link"));
    SHOW(truncate("missing", 0));
    SHOW(truncate("directory", 0));
    SHOW(truncate("file", -1));
    SHOW(truncate("file/x", 0));
    SHOW(truncate(bad_pointer(), 0));
    SHOW(truncate("link", 2));
    show_content("file");
    int ro = MUST(open("file", O_RDONLY)), rw = MUST(open("file", O_RDWR));
    int directory = MUST(open("directory", O_RDONLY)), ends[2];
    MUST(pipe(ends));
    SHOW(ftruncate(ro, 0));
    SHOW(ftruncate(rw, -5));
    SHOW(ftruncate(directory, 0));
    SHOW(ftruncate(ends[1], 0));
    SHOW(ftruncate(-1, 0));
    return 0;
}
