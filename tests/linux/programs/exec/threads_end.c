// execve from a second thread: the others end, the new program has one thread with the process's id.
#include "show.h"
#include <dirent.h>

static char pid[16];

static void *sleeper(void *argument) {
    for (;;) pause();
    return argument;
}

static void *executor(void *argument) {
    sleep_ms(20);
    char *arguments[] = {"x", pid, NULL};
    SHOW(execv(self_path(), arguments));
    return argument;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        SHOW_TRUE(atoi(argv[1]) == getpid() && syscall(SYS_gettid) == getpid());
        int tasks = 0;
        DIR *d = opendir("/proc/self/task");
        for (struct dirent *e; (e = readdir(d));) tasks += e->d_name[0] != '.';
        SHOW_NUMBER(tasks);
        return 0;
    }
    snprintf(pid, sizeof pid, "%d", getpid());
    start_thread(sleeper, NULL);
    start_thread(executor, NULL);
    for (;;) pause();
}
