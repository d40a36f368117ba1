// chdir, fchdir and getcwd, through symlinks and with short buffers.
#include "show.h"

int main(void) {
    char start[PATH_MAX], here[PATH_MAX];
    SHOW_TRUE(getcwd(start, sizeof start) == start);
    MUST(mkdir("a", 0755));
    MUST(mkdir("a/b", 0755));
    MUST(symlink("a/b", "link"));
    make_file("file", "");
    int fd = MUST(open(".", O_RDONLY));
    SHOW(chdir("link"));
    SHOW_TRUE(getcwd(here, sizeof here) == here);
    say("%s", here + strlen(start));
    SHOW(chdir(".."));
    SHOW_TRUE(getcwd(here, sizeof here) == here);
    say("%s", here + strlen(start));
    SHOW(fchdir(fd));
    SHOW_TRUE(getcwd(here, sizeof here) == here && !strcmp(here, start));
    SHOW_TRUE(syscall(SYS_getcwd, here, sizeof here) == (long)strlen(start) + 1);
    SHOW(syscall(SYS_getcwd, here, strlen(start)));
    SHOW(syscall(SYS_getcwd, here, 0));
    SHOW(syscall(SYS_getcwd, bad_pointer(), PATH_MAX));
    SHOW(chdir("file"));
    SHOW(chdir("missing"));
    SHOW(chdir(""));
    SHOW(chdir(bad_pointer()));
    SHOW(fchdir(MUST(open("file", O_RDONLY))));
    SHOW(fchdir(-1));
    SHOW(chdir("/"));
    SHOW_TRUE(getcwd(here, sizeof here) == here);
    say("%s", here);
    SHOW(chdir("../.."));
    SHOW(syscall(SYS_getcwd, here, sizeof here));
    return 0;
}
