// getpid, getppid, gettid, groups and sessions: how they relate.
#include "show.h"

int main(void) {
    SHOW_TRUE(getpid() > 0 && getppid() >= 0);
    SHOW_TRUE(syscall(SYS_gettid) == getpid());
    SHOW_TRUE(getpgrp() == getpgid(0) && getpgid(0) == getpgid(getpid()));
    SHOW_TRUE(getsid(0) == getsid(getpid()) && getsid(0) > 0);
    SHOW(getpgid(999999999));
    SHOW(getsid(999999999));
    SHOW(getpgid(-1));
    SHOW_TRUE(getuid() == geteuid() && getgid() == getegid());
    return 0;
}
