// waitid: siginfo, WNOWAIT, P_PID, P_ALL, P_PGID, WNOHANG without a child that ended.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        if (argv[1][0] == 'p')
            for (;;) pause();
        return atoi(argv[1]);
    }
    siginfo_t info;
    SHOW(waitid(P_ALL, 0, &info, WEXITED));
    pid_t child = spawn_self("11", NULL);
    SHOW(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    say("pid %s code %s status %d signal %d", info.si_pid == child ? "the child's" : "?",
        info.si_code == CLD_EXITED ? "exited" : "?", info.si_status, info.si_signo);
    SHOW(waitid(P_ALL, 0, &info, WEXITED));
    SHOW(waitid(P_PID, child, &info, WEXITED));
    child = spawn_self("p", NULL);
    memset(&info, 7, sizeof info);
    SHOW(waitid(P_PGID, getpgid(0), &info, WEXITED | WNOHANG));
    SHOW_NUMBER(info.si_pid);
    MUST(kill(child, SIGKILL));
    SHOW(waitid(P_PGID, getpgid(0), &info, WEXITED));
    say("code %s status %d", info.si_code == CLD_KILLED ? "killed" : "?", info.si_status);
    SHOW(waitid(P_ALL, 0, &info, 0));
    SHOW(waitid(99, 0, &info, WEXITED));
    return 0;
}
