// How paths with slashes and dots in odd places resolve.
#include "show.h"

int main(void) {
    MUST(mkdir("d", 0755));
    make_file("d/file", "");
    MUST(symlink("d", "link"));
    MUST(symlink("d/file", "filelink"));
    struct stat st;
    const char *paths[] = {"d/",        "d//file",   ".//d/./file", "d/../d/file", "d/file/",
                           "d/file/.",  "d/file/..", "missing/..",  "link/file",   "link/../d",
                           "filelink/", "./././",    "d/.",         "d/..",        "link/",
                           "link/.",    "",          "d/missing/.."};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (stat(paths[i], &st) < 0) say("'%s': %s", paths[i], errno_name(errno));
        else show_stat(paths[i], &st);
    }
    MUST(lstat("link/", &st));
    show_stat("lstat link/", &st);
    MUST(lstat("link", &st));
    show_stat("lstat link", &st);
    return 0;
}
