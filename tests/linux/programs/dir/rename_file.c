// rename: onto nothing, onto a file, onto itself, onto another link of the same file.
#include "show.h"

int main(void) {
    make_file("a", "A");
    make_file("b", "B");
    int fd = MUST(open("b", O_RDONLY));
    SHOW(rename("a", "c"));
    show_path("a");
    show_content("c");
    SHOW(rename("c", "b"));
    show_content("b");
    show_fd("the old b", fd);
    SHOW(rename("b", "b"));
    show_content("b");
    MUST(link("b", "same"));
    SHOW(rename("b", "same"));
    show_path("b");
    show_path("same");
    SHOW(rename("missing", "x"));
    SHOW(rename("b", "missing/x"));
    SHOW(rename("b", "same/x"));
    SHOW(rename("b", "x/"));
    SHOW(rename("", "x"));
    SHOW(rename("b", ""));
    SHOW(rename(bad_pointer(), "x"));
    SHOW(rename("b", bad_pointer()));
    return 0;
}
