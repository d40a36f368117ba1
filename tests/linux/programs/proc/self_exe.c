// /proc/self/exe names the running program.
#include "show.h"

int main(void) {
    char target[PATH_MAX] = "";
    SHOW_TRUE(readlink("/proc/self/exe", target, sizeof target - 1) > 0);
    SHOW_TRUE(!strcmp(target, self_path()));
    struct stat a, b;
    SHOW(stat("/proc/self/exe", &a));
    SHOW(stat(target, &b));
    SHOW_TRUE(a.st_ino == b.st_ino && a.st_size == b.st_size);
    int fd = SHOW_OK(open("/proc/self/exe", O_RDONLY));
    char magic[4];
    SHOW(read(fd, magic, 4));
    show_bytes("magic", magic, 4);
    MUST(lstat("/proc/self/exe", &a));
    SHOW_TRUE(S_ISLNK(a.st_mode));
    return 0;
}
