// Renaming a directory moves everything below it, and open descriptors follow.
#include "show.h"

int main(void) {
    MUST(mkdir("a", 0755));
    MUST(mkdir("a/b", 0755));
    make_file("a/b/file", "content");
    int directory = MUST(open("a/b", O_RDONLY)), fd = MUST(open("a/b/file", O_RDWR));
    SHOW(rename("a", "x"));
    show_path("a/b/file");
    show_content("x/b/file");
    SHOW(write(fd, "C", 1));
    show_content("x/b/file");
    SHOW_OK(openat(directory, "new", O_WRONLY | O_CREAT, 0644));
    show_path("x/b/new");
    SHOW_OK(openat(directory, "../../x/b/new", O_RDONLY));
    return 0;
}
