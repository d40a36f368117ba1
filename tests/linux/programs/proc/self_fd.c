// /proc/self/fd lists open descriptors as links that can be read and opened.
#include "show.h"
#include <dirent.h>

int main(void) {
    char here[PATH_MAX], target[PATH_MAX], path[64];
    MUST(syscall(SYS_getcwd, here, sizeof here));
    make_file("file", "content");
    MUST(dup2(MUST(open("file", O_RDONLY)), 40));
    int ends[2];
    MUST(pipe(ends));
    MUST(dup2(ends[0], 41));
    DIR *d = opendir("/proc/self/fd");
    int found = 0;
    for (struct dirent *e; (e = readdir(d));) found += !strcmp(e->d_name, "40") || !strcmp(e->d_name, "41");
    closedir(d);
    SHOW_NUMBER(found);
    long n = readlink("/proc/self/fd/40", target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    SHOW_TRUE(!strncmp(target, here, strlen(here)));
    say("%s", target + strlen(here));
    n = readlink("/proc/self/fd/41", target, sizeof target - 1);
    show_bytes("pipe", target, n > 6 ? 6 : n);
    MUST(lseek(40, 3, SEEK_SET));
    int again = SHOW_OK(open("/proc/self/fd/40", O_RDONLY));
    SHOW(read(again, target, 10));
    SHOW(readlink("/proc/self/fd/99", target, sizeof target));
    SHOW(open("/proc/self/fd/99", O_RDONLY));
    MUST(unlink("file"));
    n = readlink("/proc/self/fd/40", target, sizeof target - 1);
    show_bytes("deleted", target + n - 10, 10);
    snprintf(path, sizeof path, "/proc/%d/fd/40", getpid());
    SHOW_OK(open(path, O_RDONLY));
    SHOW_OK(open("/dev/fd/40", O_RDONLY));
    return 0;
}
