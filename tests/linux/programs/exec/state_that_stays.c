// Over execve: pid, working directory, umask, limits, timers; the name and dumpable flag are new.
#include "show.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

int main(int argc, char **argv) {
    if (argc > 1) {
        char here[PATH_MAX];
        struct rlimit limit;
        struct itimerval t;
        SHOW_TRUE(atoi(argv[1]) == getpid());
        MUST(syscall(SYS_getcwd, here, sizeof here));
        say("%s", strrchr(here, '/'));
        SHOW_NUMBER(umask(0));
        MUST(getrlimit(RLIMIT_NOFILE, &limit));
        SHOW_NUMBER(limit.rlim_cur);
        MUST(getitimer(ITIMER_REAL, &t));
        SHOW_TRUE(t.it_value.tv_sec > 50);
        char name[17] = "";
        MUST(prctl(PR_GET_NAME, name));
        SHOW_TRUE(strcmp(name, "changed"));
        return 0;
    }
    MUST(mkdir("here", 0755));
    MUST(chdir("here"));
    umask(035);
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 77;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    MUST(prctl(PR_SET_NAME, "changed"));
    alarm(100);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    char *arguments[] = {"x", pid, NULL};
    SHOW(execv(self_path(), arguments));
    return 1;
}
