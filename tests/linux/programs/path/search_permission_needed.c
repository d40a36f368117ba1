// Permission bits on directories for one who is not root (root passes them all, and sees only the final
// answers).
#include "show.h"

int main(void) {
    struct stat st;
    MUST(mkdir("d", 0755));
    make_file("d/file", "");
    bool root = geteuid() == 0;
    MUST(chmod("d", 0600));
    SHOW_TRUE((stat("d/file", &st) == 0) == root);
    MUST(chmod("d", 0300));
    SHOW(stat("d/file", &st));
    SHOW_TRUE((open("d", O_RDONLY) >= 0) == root);
    MUST(chmod("d", 0500));
    SHOW_TRUE((open("d/new", O_WRONLY | O_CREAT, 0644) >= 0) == root);
    SHOW_TRUE((unlink("d/file") == 0) == root);
    MUST(chmod("d", 0700));
    return 0;
}
