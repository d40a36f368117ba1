// signalfd: reading pending signals as records, poll, changing the set, refusals.
#include "show.h"
#include <poll.h>
#include <sys/signalfd.h>

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    int fd = SHOW_OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo info[4];
    SHOW(read(fd, info, sizeof info));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 0));
    MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 9}));
    MUST(raise(SIGUSR1));
    SHOW(poll(&p, 1, 0));
    SHOW(read(fd, info, sizeof info) / (long)sizeof *info);
    for (int i = 0; i < 2; i++)
        say("%s code %d int %d pid %s", info[i].ssi_signo == SIGUSR1 ? "USR1" : "RTMIN+1", info[i].ssi_code,
            info[i].ssi_int, (pid_t)info[i].ssi_pid == getpid() ? "own" : "?");
    SHOW(read(fd, info, sizeof info));
    SHOW(read(fd, info, 10));
    sigemptyset(&set);
    SHOW_TRUE(signalfd(fd, &set, 0) == fd);
    MUST(raise(SIGUSR1));
    SHOW(read(fd, info, sizeof info));
    SHOW(signalfd(0, &set, 0));
    SHOW(signalfd(999, &set, 0));
    SHOW(signalfd(-1, &set, 0x77));
    return 0;
}
