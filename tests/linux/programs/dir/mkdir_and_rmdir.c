// mkdir and rmdir: success, every ordinary refusal.
#include "show.h"

int main(void) {
    SHOW(mkdir("a", 0750));
    show_path("a");
    SHOW(mkdir("a", 0750));
    SHOW(mkdir("a/b/c", 0755));
    make_file("file", "");
    SHOW(mkdir("file", 0755));
    SHOW(mkdir("file/x", 0755));
    SHOW(mkdir("a/", 0755));
    SHOW(mkdir("new/", 0755));
    SHOW(mkdir("", 0755));
    SHOW(mkdir(".", 0755));
    SHOW(mkdir("a/..", 0755));
    SHOW(mkdir("/", 0755));
    SHOW(mkdir(bad_pointer(), 0755));
    make_file("a/inner", "");
    SHOW(rmdir("a"));
    SHOW(rmdir("a/inner"));
    SHOW(rmdir("file"));
    SHOW(rmdir("missing"));
    SHOW(rmdir("new/."));
    SHOW(rmdir("new/.."));
    SHOW(rmdir("new/"));
    SHOW(unlink("a"));
    SHOW(unlink("a/inner"));
    SHOW(rmdir("a"));
    show_path("a");
    return 0;
}
