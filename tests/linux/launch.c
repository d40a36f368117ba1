// The image's entry point: goes to a fresh directory and becomes the program that its arguments name, so that
// one image serves all programs. The native side does the same with tempfile and Popen.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("launch: name a program\n", stderr);
        return 125;
    }
    if (mkdir("/tmp/work", 0700) != 0 || chdir("/tmp/work") != 0) {
        perror("launch: /tmp/work");
        return 125;
    }
    execve(argv[1], argv + 1, environ);
    perror(argv[1]);
    return 126;
}
