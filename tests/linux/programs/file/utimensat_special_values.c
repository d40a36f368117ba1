// utimensat: exact times, UTIME_NOW, UTIME_OMIT, bad nanoseconds, symlinks.
#include "show.h"

static void show_times(const char *path) {
    struct stat st;
    MUST(lstat(path, &st));
    long now = time(NULL);
    for (int i = 0; i < 2; i++) {
        struct timespec t = i ? st.st_mtim : st.st_atim;
        if (t.tv_sec > now - 100) say("%s %s: now", path, i ? "mtime" : "atime");
        else say("%s %s: %ld.%09ld", path, i ? "mtime" : "atime", (long)t.tv_sec, t.tv_nsec);
    }
}

int main(void) {
    make_file("file", "");
    MUST(symlink("file", "link"));
    struct timespec exact[2] = {{1000000000, 123456789}, {1100000000, 5}};
    SHOW(utimensat(AT_FDCWD, "file", exact, 0));
    show_times("file");
    struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    SHOW(utimensat(AT_FDCWD, "file", omit, 0));
    show_times("file");
    struct timespec both_omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    SHOW(utimensat(AT_FDCWD, "file", both_omit, 0));
    SHOW(utimensat(AT_FDCWD, "file", NULL, 0));
    show_times("file");
    SHOW(utimensat(AT_FDCWD, "link", exact, AT_SYMLINK_NOFOLLOW));
    show_times("link");
    show_times("file");
    struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
    SHOW(utimensat(AT_FDCWD, "file", bad, 0));
    SHOW(utimensat(AT_FDCWD, "missing", exact, 0));
    SHOW(utimensat(-1, "file", exact, 0));
    int fd = MUST(open("file", O_RDONLY));
    SHOW(futimens(fd, exact));
    show_times("file");
    SHOW(futimens(-1, exact));
    return 0;
}
