// openat2's resolve flags.
#include "show.h"
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

struct how {
    uint64_t flags, mode, resolve;
};

static long openat2_call(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct how how = {flags, mode, resolve};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd >= 0) close(fd);
    return fd;
}

int main(void) {
    MUST(mkdir("d", 0755));
    make_file("d/file", "");
    MUST(symlink("d/file", "link"));
    MUST(symlink("/", "root"));
    SHOW_OK(openat2_call("d/file", O_RDONLY, 0, 0));
    SHOW_OK(openat2_call("new", O_WRONLY | O_CREAT, 0644, 0));
    SHOW(openat2_call("link", O_RDONLY, 0, 4));
    SHOW(openat2_call("root/dev", O_RDONLY, 0, 8));
    SHOW(openat2_call("../x", O_RDONLY, 0, 8));
    SHOW_OK(openat2_call("d/../d/file", O_RDONLY, 0, 8));
    SHOW_OK(openat2_call("/d/file", O_RDONLY, 0, 16));
    SHOW(openat2_call("d/file", O_RDONLY, 0644, 0));
    SHOW(openat2_call("d/file", O_RDONLY | (1UL << 40), 0, 0));
    SHOW(openat2_call("d/file", O_RDONLY, 0, 1UL << 40));
    SHOW(openat2_call("d/file", O_RDONLY, 0, 8 | 16));
    struct how how = {O_RDONLY, 0, 0};
    SHOW(syscall(SYS_openat2, AT_FDCWD, "d/file", &how, 8));
    SHOW(syscall(SYS_openat2, AT_FDCWD, "d/file", bad_pointer(), sizeof how));
    return 0;
}
