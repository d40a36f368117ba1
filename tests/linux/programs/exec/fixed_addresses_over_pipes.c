// Parent and child linked to the same addresses: much more than a pipe holds goes both ways at once, through buffers that both
// have at the same address.
//: flags -no-pie -fno-pie
#include "show.h"

#define SIZE (512 * 1024)

static unsigned char out[SIZE], in[SIZE];
static int out_fd;

static void *feed(void *unused) {
    (void)unused;
    for (long done = 0; done < SIZE;) {
        long n = write(out_fd, out + done, SIZE - done);
        if (n <= 0) break;
        done += n;
    }
    close(out_fd);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        long total = 0, n;
        // In pieces that fit no page, so that every page changes hands half filled.
        while ((n = read(0, in + total, total + 1777 < SIZE ? 1777 : SIZE - total)) > 0) {
            for (long i = 0; i < n; i++) out[i] = in[total + i] ^ 0x5a;
            for (long done = 0; done < n;) done += MUST(write(1, out + done, n - done));
            total += n;
        }
        return total == SIZE ? 7 : 8;
    }
    int to[2], from[2];
    MUST(pipe2(to, O_CLOEXEC));
    MUST(pipe2(from, O_CLOEXEC));
    for (int i = 0; i < SIZE; i++) out[i] = i * 31 + i / 4096;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    char *arguments[] = {"x", "child", NULL}, *environment[] = {NULL};
    pid_t child;
    SHOW_ERROR(posix_spawn(&child, self_path(), &actions, NULL, arguments, environment));
    MUST(close(to[0]));
    MUST(close(from[1]));
    out_fd = to[1];
    pthread_t feeder;
    SHOW_ERROR(pthread_create(&feeder, NULL, feed, NULL));
    long total = 0, n, wrong = 0;
    while (total < SIZE && (n = read(from[0], in + total, SIZE - total)) > 0) total += n;
    for (long i = 0; i < total; i++) wrong += in[i] != (unsigned char)((i * 31 + i / 4096) ^ 0x5a);
    SHOW_ERROR(pthread_join(feeder, NULL));
    SHOW_NUMBER(total);
    SHOW_NUMBER(wrong);
    show_child("child", child);
    return 0;
}
