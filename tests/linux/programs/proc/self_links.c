// cwd, root, comm, task and self itself.
#include "show.h"
#include <sys/prctl.h>

int main(void) {
    char here[PATH_MAX], target[PATH_MAX];
    MUST(syscall(SYS_getcwd, here, sizeof here));
    long n = readlink("/proc/self/cwd", target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    SHOW_TRUE(!strcmp(target, here));
    n = readlink("/proc/self/root", target, sizeof target);
    show_bytes("root", target, n);
    n = readlink("/proc/self", target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    SHOW_TRUE(atoi(target) == getpid());
    MUST(prctl(PR_SET_NAME, "renamed"));
    show_content("/proc/self/comm");
    int fd = SHOW_OK(open("/proc/self/comm", O_WRONLY));
    SHOW(write(fd, "by-file", 7));
    char name[16];
    SHOW(prctl(PR_GET_NAME, name));
    say("%s", name);
    snprintf(target, sizeof target, "/proc/self/task/%d/comm", getpid());
    char text[16] = "";
    SHOW(read(MUST(open(target, O_RDONLY)), text, sizeof text));
    say("%s", text);
    struct stat st;
    SHOW(stat("/proc/self/task", &st));
    SHOW(stat("/proc/self/missing", &st));
    SHOW(stat("/proc/999999999", &st));
    SHOW(mkdir("/proc/x", 0755));
    SHOW(open("/proc/x", O_WRONLY | O_CREAT, 0644));
    return 0;
}
