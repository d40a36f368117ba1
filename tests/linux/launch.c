// Where every program starts, natively and inside (there it is the image's entry point): forgets what was inherited,
// goes to a fresh directory and becomes the program that the arguments name.
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

// The kernel's struct sigaction; all zero is SIG_DFL.
struct action {
    void *handler;
    unsigned long flags;
    void *restorer;
    unsigned long mask;
};

// Raw calls, because C libraries keep signals 32 to 34 for themselves; SIGKILL and SIGSTOP fail, and are as they are.
static void forget_the_parent(void) {
    const struct action standard = {0};
    const unsigned long none = 0;
    for (int number = 1; number <= 64; number++) syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof none);
    syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK of the kernel */, &none, NULL, sizeof none);
    syscall(SYS_close_range, 3U, ~0U, 0U);
    umask(022);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("launch: name a directory to make and a program\n", stderr);
        return 125;
    }
    forget_the_parent();
    if (mkdir(argv[1], 0700) != 0 || chdir(argv[1]) != 0) {
        perror(argv[1]);
        return 125;
    }
    execve(argv[2], argv + 2, environ);
    perror(argv[2]);
    return 126;
}
