// rename with directories: only an empty directory may be replaced, only by a directory.
#include "show.h"

int main(void) {
    MUST(mkdir("full", 0755));
    make_file("full/file", "");
    MUST(mkdir("empty", 0700));
    MUST(mkdir("source", 0755));
    make_file("source/inner", "moved");
    make_file("file", "");
    SHOW(rename("source", "full"));
    SHOW(rename("source", "file"));
    SHOW(rename("file", "empty"));
    SHOW(rename("file", "full"));
    SHOW(rename("source", "empty"));
    show_path("source");
    show_path("empty");
    show_content("empty/inner");
    SHOW(rename("empty", "renamed/"));
    show_content("renamed/inner");
    SHOW(rename("full", "."));
    SHOW(rename(".", "full"));
    SHOW(rename("renamed/..", "x"));
    return 0;
}
