// A child with its standard streams on pipes: data both ways, end of file when it ends.
#include "show.h"

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        char c;
        while (read(0, &c, 1) == 1) {
            if (c >= 'a' && c <= 'z') c -= 32;
            if (write(1, &c, 1) != 1) return 1;
        }
        return 9;
    }
    int in[2], out[2];
    MUST(pipe2(in, O_CLOEXEC));
    MUST(pipe2(out, O_CLOEXEC));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *arguments[] = {"x", "child", NULL}, *environment[] = {NULL};
    pid_t child;
    SHOW_ERROR(posix_spawn(&child, self_path(), &actions, NULL, arguments, environment));
    MUST(close(in[0]));
    MUST(close(out[1]));
    SHOW(write(in[1], "hello, child", 12));
    char data[32];
    long total = 0, n;
    while (total < 12 && (n = read(out[0], data + total, sizeof data - total)) > 0) total += n;
    show_bytes("data", data, total);
    MUST(close(in[1]));
    SHOW(read(out[0], data, 1));
    show_child("child", child);
    return 0;
}
