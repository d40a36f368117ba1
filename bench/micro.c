// Times single operations; prints "name nanoseconds" per line. The least of several rounds counts.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char block[4096];
static int image_fd;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void check(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void do_getpid(void) { syscall(SYS_getpid); }
static void do_stat(void) { struct stat s; check(stat("/usr/bin/env", &s) == 0, "stat"); }
static void do_missing(void) { struct stat s; check(stat("/usr/bin/absent", &s) != 0, "missing"); }
static void do_open(void) { int fd = open("/usr/bin/env", O_RDONLY); check(fd >= 0, "open"); close(fd); }
static void do_read(void) { check(pread(image_fd, block, sizeof block, 8192) == sizeof block, "pread"); }
static void do_clock(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); }
static void *nothing(void *arg) { return arg; }
static void do_thread(void) {
    pthread_t t;
    check(pthread_create(&t, NULL, nothing, NULL) == 0, "pthread_create");
    pthread_join(t, NULL);
}

static void measure(const char *name, void (*operation)(void), int count) {
    double best = 1e18;
    operation();
    for (int round = 0; round < 7; round++) {
        double start = now();
        for (int i = 0; i < count; i++)
            operation();
        double each = (now() - start) / count;
        if (each < best)
            best = each;
    }
    printf("%s %.1f\n", name, best);
}

int main(void) {
    image_fd = open("/usr/bin/python3.11", O_RDONLY);
    check(image_fd >= 0, "open python3.11");
    measure("getpid", do_getpid, 200000);
    measure("stat", do_stat, 50000);
    measure("stat-missing", do_missing, 50000);
    measure("open-close", do_open, 20000);
    measure("pread-4k", do_read, 20000);
    measure("clock_gettime", do_clock, 200000);
    measure("thread-create-join", do_thread, 500);
    return 0;
}
