// Descriptors with FD_CLOEXEC are closed, others stay with number, offset and flags.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        (void)argv;
        for (int fd = 50; fd < 54; fd++) SHOW(fcntl(fd, F_GETFD));
        SHOW(lseek(50, 0, SEEK_CUR));
        SHOW_TRUE(fcntl(50, F_GETFL) & O_APPEND);
        SHOW(fcntl(52, F_GETFD));
        return 0;
    }
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR | O_APPEND));
    MUST(lseek(fd, 6, SEEK_SET));
    MUST(dup2(fd, 50));
    MUST(dup3(fd, 51, O_CLOEXEC));
    MUST(dup3(fd, 52, O_CLOEXEC));
    MUST(fcntl(52, F_SETFD, 0));
    MUST(dup2(fd, 53));
    MUST(fcntl(53, F_SETFD, FD_CLOEXEC));
    char *arguments[] = {"x", "child", NULL};
    SHOW(execv(self_path(), arguments));
    return 1;
}
