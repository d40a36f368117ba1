// host_calls OPERATION COUNT: does one thing COUNT times, for test_host_calls.py, which counts the host calls of it.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { BLOCK = 4096, FILES = 2000 };

static void check(int right, const char *what) {
    if (right) return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

// Each block once: one that was read before is a different matter.
static void read_image(int count) {
    static char block[BLOCK];
    int fd = open("/large", O_RDONLY);
    check(fd >= 0, "open");
    for (int i = 0; i < count; i++) {
        uint32_t first;
        check(pread(fd, block, BLOCK, (off_t)i * BLOCK) == BLOCK, "pread");
        memcpy(&first, block, sizeof first);
        check(first == (uint32_t)i, "contents");
    }
    close(fd);
}

static void read_image_again(int count) {
    static char block[BLOCK];
    int fd = open("/large", O_RDONLY);
    check(fd >= 0, "open");
    for (int i = 0; i < count; i++)
        check(lseek(fd, i % 7 * BLOCK, SEEK_SET) >= 0 && read(fd, block, BLOCK) == BLOCK, "read");
    close(fd);
}

static void stat_image(int count) {
    char path[32];
    struct stat status;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/many/%d", i % FILES);
        check(stat(path, &status) == 0 && status.st_size == i % FILES % 10, path);
    }
}

static void stat_open_image(int count) {
    struct stat status;
    int fd = open("/large", O_RDONLY);
    check(fd >= 0, "open");
    for (int i = 0; i < count; i++) check(fstat(fd, &status) == 0 && S_ISREG(status.st_mode), "fstat");
    close(fd);
}

static void stat_missing(int count) {
    char path[32];
    struct stat status;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/many/no-%d", i);
        check(stat(path, &status) == -1 && errno == ENOENT, path);
    }
}

static void read_link(int count) {
    char target[64];
    for (int i = 0; i < count; i++) check(readlink("/link", target, sizeof target) == 5, "readlink");
}

static void list_image(int count) {
    DIR *directory = opendir("/many");
    check(directory != NULL, "opendir");
    for (int i = 0; i < count; i++) {
        int seen = 0;
        rewinddir(directory);
        while (readdir(directory)) seen++;
        check(seen == FILES + 2, "readdir");
    }
    closedir(directory);
}

static void get_pid(int count) {
    long pid = syscall(SYS_getpid);
    for (int i = 0; i < count; i++) check(syscall(SYS_getpid) == pid, "getpid");
}

static void clock_through(int (*call)(clockid_t, struct timespec *), int count) {
    struct timespec last = {0}, now;
    check(call(CLOCK_MONOTONIC, &last) == 0, "clock_gettime");
    for (int i = 0; i < count; i++) {
        check(call(CLOCK_MONOTONIC, &now) == 0, "clock_gettime");
        check(now.tv_sec > last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec >= last.tv_nsec), "time");
        last = now;
    }
}

static int clock_by_call(clockid_t clock, struct timespec *now) { return (int)syscall(SYS_clock_gettime, clock, now); }
static void clock_get_time(int count) { clock_through(clock_gettime, count); }
static void clock_get_time_call(int count) { clock_through(clock_by_call, count); }

static void futex_nobody_waits(int count) {
    static uint32_t word;
    for (int i = 0; i < count; i++) {
        check(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0, "FUTEX_WAKE");
        check(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0) == -1 && errno == EAGAIN, "FUTEX_WAIT");
    }
}

static void mutex(int count) {
    static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, inheriting;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inheriting, &attributes);
    for (int i = 0; i < count; i++) {
        pthread_mutex_lock(&plain);
        pthread_mutex_lock(&inheriting);
        pthread_mutex_unlock(&inheriting);
        pthread_mutex_unlock(&plain);
    }
}

// A file of memory has its whole life in each turn.
static void life_of_a_file(const char *directory, int count) {
    static char block[BLOCK];
    char path[64], renamed[64];
    struct stat status;
    snprintf(path, sizeof path, "%s/file", directory);
    snprintf(renamed, sizeof renamed, "%s/renamed", directory);
    for (int i = 0; i < count; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        check(fd >= 0, path);
        memset(block, i, BLOCK);
        check(write(fd, block, BLOCK) == BLOCK && pread(fd, block, BLOCK, 0) == BLOCK, "write and read");
        check(block[5] == (char)i, "contents");
        check(ftruncate(fd, 100) == 0 && fstat(fd, &status) == 0 && status.st_size == 100, "ftruncate");
        close(fd);
        check(rename(path, renamed) == 0 && stat(renamed, &status) == 0 && unlink(renamed) == 0, "rename");
    }
}

// What does make host calls, to see that they are counted.
static void write_out(int count) {
    for (int i = 0; i < count; i++) check(write(STDOUT_FILENO, ".", 1) == 1, "write");
}

static void tmpfs(int count) { life_of_a_file("/dev/shm", count); }
static void written_over_the_image(int count) { life_of_a_file("/many", count); }

static const struct {
    const char *name;
    void (*work)(int);
} OPERATIONS[] = {
    {"read", read_image},
    {"read-again", read_image_again},
    {"stat", stat_image},
    {"fstat", stat_open_image},
    {"stat-missing", stat_missing},
    {"readlink", read_link},
    {"list", list_image},
    {"getpid", get_pid},
    {"clock_gettime", clock_get_time},
    {"clock_gettime-call", clock_get_time_call},
    {"futex", futex_nobody_waits},
    {"mutex", mutex},
    {"tmpfs", tmpfs},
    {"write-out", write_out},
    {"written-over-the-image", written_over_the_image},
};

int main(int argc, char **argv) {
    // In the first 5 ms of a run the counter is measured against the host's clock: whoever wants the time then asks the host.
    for (uint64_t start = __rdtsc(); __rdtsc() - start < 100000000;) continue;
    for (size_t at = 0; argc == 3 && at < sizeof OPERATIONS / sizeof *OPERATIONS; at++)
        if (strcmp(argv[1], OPERATIONS[at].name) == 0) {
            OPERATIONS[at].work(atoi(argv[2]));
            return 0;
        }
    return 2;
}
