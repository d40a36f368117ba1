// unlink where it must refuse.
#include "show.h"

int main(void) {
    make_file("file", "");
    MUST(mkdir("d", 0755));
    MUST(symlink("d", "link"));
    MUST(symlink("missing", "dangling"));
    SHOW(unlink("missing"));
    SHOW(unlink("file/"));
    SHOW(unlink("file/x"));
    SHOW(unlink("d"));
    SHOW(unlink("."));
    SHOW(unlink(""));
    SHOW(unlink("link/"));
    SHOW(rmdir("link"));
    SHOW(unlink("link"));
    SHOW(unlink("dangling"));
    SHOW(unlink(bad_pointer()));
    SHOW(unlink("file"));
    SHOW(unlink("file"));
    show_path("d");
    return 0;
}
