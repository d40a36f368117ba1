// execveat by descriptor, relative to a directory, AT_SYMLINK_NOFOLLOW.
#include "show.h"

static long execveat_call(int fd, const char *path, int flags) {
    char *arguments[] = {"x", "child", NULL}, *environment[] = {NULL};
    return syscall(SYS_execveat, fd, path, arguments, environment, flags);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        say("the child runs");
        return 0;
    }
    int fd = MUST(open(self_path(), O_RDONLY | O_CLOEXEC));
    MUST(symlink(self_path(), "link"));
    SHOW(execveat_call(AT_FDCWD, "missing", 0));
    SHOW(execveat_call(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW));
    SHOW(execveat_call(999, "x", 0));
    SHOW(execveat_call(fd, "x", 0));
    SHOW(execveat_call(fd, "", 0));
    SHOW(execveat_call(fd, "", 0x8000));
    SHOW(execveat_call(fd, "", AT_EMPTY_PATH));
    return 1;
}
