// A removed directory that is still open or current: empty, nothing can be made in it.
#include "show.h"
#include <dirent.h>

int main(void) {
    MUST(mkdir("gone", 0755));
    MUST(mkdir("other", 0755));
    int fd = MUST(open("gone", O_RDONLY | O_DIRECTORY));
    MUST(chdir("gone"));
    SHOW(rmdir("../gone"));
    char buffer[512];
    SHOW(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    SHOW(open("file", O_WRONLY | O_CREAT, 0644));
    SHOW(mkdirat(fd, "sub", 0755));
    SHOW(openat(fd, "x", O_RDONLY));
    SHOW_TRUE(getcwd(buffer, sizeof buffer) != NULL);
    say("%s", errno_name(errno));
    struct stat st;
    SHOW(stat(".", &st));
    SHOW_TRUE(st.st_nlink == 0);
    SHOW(chdir("../other"));
    SHOW_OK(syscall(SYS_getcwd, buffer, sizeof buffer));
    return 0;
}
