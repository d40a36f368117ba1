// CLONE_PIDFD gives a descriptor of the child, which waitid(P_PIDFD) and poll know.
#include "show.h"
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

static int fd = -1;
static char stack[65536] __attribute__((aligned(16)));

static int child_body(void *path) {
    char *arguments[] = {"x", "child", NULL}, *environment[] = {NULL};
    execve(path, arguments, environment);
    return 99;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return 7;
    pid_t child = clone(child_body, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                        (void *)self_path(), &fd);
    SHOW_TRUE(child > 0 && fd >= 0);
    SHOW(fcntl(fd, F_GETFD));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 5000));
    siginfo_t info = {0};
    SHOW(waitid(3 /* P_PIDFD */, fd, &info, WEXITED | WNOWAIT));
    SHOW_TRUE(info.si_pid == child && info.si_code == CLD_EXITED);
    SHOW_NUMBER(info.si_status);
    SHOW(waitid(3, fd, &info, WEXITED));
    SHOW(waitid(3, fd, &info, WEXITED));
    SHOW(waitid(3, 999, &info, WEXITED));
    SHOW(waitid(3, 0, &info, WEXITED));
    SHOW(poll(&p, 1, 0));
    return 0;
}
