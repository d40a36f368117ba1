// Times single operations; prints "name nanoseconds" per line. The least of several rounds counts.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

// musl comes without the kernel headers.
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

// Two threads answer each other: through two pipes, a futex word, a TCP connection.
static int there[2], back[2], ends[2];
static atomic_int turn;

static void *pipe_partner(void *arg) {
    char byte;
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) continue;
    return arg;
}
static void do_pipe(void) {
    char byte = 'x';
    check(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "pipe");
}

static void give(int whose) {
    atomic_store(&turn, whose);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static void await(int whose) {
    for (int seen; (seen = atomic_load(&turn)) != whose;)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}
static void *futex_partner(void *arg) {
    for (;;) {
        await(1);
        give(0);
    }
    return arg;
}
static void do_futex(void) {
    give(1);
    await(0);
}

static void *tcp_partner(void *arg) {
    char byte;
    while (read(ends[1], &byte, 1) == 1 && write(ends[1], &byte, 1) == 1) continue;
    return arg;
}
static void do_tcp(void) {
    char byte = 'x';
    check(write(ends[0], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1, "tcp");
}

static void connect_ends(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    check(bind(listener, (void *)&address, length) == 0 && listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (void *)&address, &length) == 0, "getsockname");
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(ends[0], (void *)&address, length) == 0, "connect");
    ends[1] = accept(listener, NULL, NULL);
    for (int i = 0; i < 2; i++) setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void partner(void *(*body)(void *)) {
    pthread_t t;
    check(pthread_create(&t, NULL, body, NULL) == 0 && pthread_detach(t) == 0, "pthread_create");
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
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    partner(pipe_partner);
    measure("pipe-ping-pong", do_pipe, 5000);
    partner(futex_partner);
    measure("futex-ping-pong", do_futex, 5000);
    connect_ends();
    partner(tcp_partner);
    measure("tcp-ping-pong", do_tcp, 3000);
    return 0;
}
