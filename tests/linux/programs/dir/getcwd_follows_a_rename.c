// The working directory's name follows renames of it and of its parents.
#include "show.h"

int main(void) {
    char start[PATH_MAX], here[PATH_MAX];
    MUST(syscall(SYS_getcwd, start, sizeof start));
    MUST(mkdir("a", 0755));
    MUST(mkdir("a/b", 0755));
    MUST(chdir("a/b"));
    MUST(rename("../../a", "../../x"));
    MUST(syscall(SYS_getcwd, here, sizeof here));
    say("%s", here + strlen(start));
    MUST(rename("../b", "../../y"));
    MUST(syscall(SYS_getcwd, here, sizeof here));
    say("%s", here + strlen(start));
    struct stat up, parent;
    MUST(stat("..", &up));
    MUST(stat(start, &parent));
    SHOW_TRUE(up.st_ino == parent.st_ino);
    return 0;
}
