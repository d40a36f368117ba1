// cmdline and environ hold exactly what execve gave.
#include "show.h"

static void show_file(const char *path, bool skip_first) {
    char data[1024];
    int fd = MUST(open(path, O_RDONLY));
    long n = read(fd, data, sizeof data);
    long from = skip_first ? (long)strlen(data) + 1 : 0;
    show_bytes(path, data + from, n - from);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        show_file("/proc/self/cmdline", true);
        show_file("/proc/self/environ", false);
        return 0;
    }
    (void)argv;
    char *arguments[] = {(char *)self_path(), "one", "", "two words", NULL};
    char *environment[] = {"A=1", "EMPTY=", "no equals sign", "A=2", NULL};
    execve(self_path(), arguments, environment);
    say("execve: %s", errno_name(errno));
    return 1;
}
