/* Makes host calls on files of /data from several threads: MODE COUNT THREADS.
 *
 * write: each thread writes and reads back COUNT records of its file. signals: the same under a timer's signals. exit, abort: the
 * first thread that has made COUNT calls ends the process, while the others are in theirs. sockets: non-blocking sockets and
 * an epoll in each thread. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char *mode;
static long count;
static atomic_int alarms;

static void on_alarm(int signal) { (void)signal, atomic_fetch_add(&alarms, 1); }

static void require(int holds, const char *what) {
    if (!holds) {
        printf("wrong: %s (%s)\n", what, strerror(errno));
        fflush(stdout);
        _exit(1);
    }
}

static unsigned long files(long number) {
    char name[64];
    unsigned long sum = 0;
    snprintf(name, sizeof name, "/data/%ld", number);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0, "open");
    for (long at = 0; at < count; at++) {
        unsigned long record[2] = {(unsigned long)at * 0x9e3779b97f4a7c15, (unsigned long)number}, back[2] = {0, 0};
        off_t place = at % 512 * sizeof record;
        require(pwrite(fd, record, sizeof record, place) == sizeof record, "pwrite");
        require(pread(fd, back, sizeof back, place) == sizeof back, "pread");
        require(memcmp(record, back, sizeof record) == 0, "what was read back");
        sum += back[0] ^ back[1];
    }
    struct stat stat;
    require(fstat(fd, &stat) == 0 && stat.st_size == (count < 512 ? count : 512) * 16, "fstat");
    require(close(fd) == 0, "close");
    if (strcmp(mode, "exit") == 0)
        exit(7);
    if (strcmp(mode, "abort") == 0)
        abort();
    return sum;
}

static unsigned long sockets(long number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    unsigned long sum = 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    require(bind(listener, (void *)&address, length) == 0 && listen(listener, 1) == 0, "listen");
    require(getsockname(listener, (void *)&address, &length) == 0, "getsockname");
    require(connect(client, (void *)&address, length) == 0, "connect");
    int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK), epoll = epoll_create1(0);
    require(server >= 0 && fcntl(client, F_SETFL, O_NONBLOCK) == 0, "accept");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5};
    require(epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event) == 0, "epoll_ctl");
    for (long at = 0; at < count; at++) {
        unsigned long word = (unsigned long)(at ^ number), back = 0;
        require(recv(server, &back, sizeof back, 0) == -1 && errno == EAGAIN, "recv of nothing");
        require(send(client, &word, sizeof word, 0) == sizeof word, "send");
        require(epoll_wait(epoll, &event, 1, -1) == 1 && event.data.u64 == 5, "epoll_wait");
        require(recv(server, &back, sizeof back, 0) == sizeof back && back == word, "recv");
        sum += back;
    }
    close(server), close(client), close(listener), close(epoll);
    return sum;
}

static void *run(void *argument) {
    long number = (long)argument;
    return (void *)(strcmp(mode, "sockets") == 0 ? sockets(number) : files(number));
}

int main(int argc, char **argv) {
    pthread_t threads[16];
    if (argc != 4)
        return 2;
    mode = argv[1], count = atol(argv[2]);
    long number = atol(argv[3]);
    if (strcmp(mode, "signals") == 0) {
        struct itimerval often = {{0, 500}, {0, 500}};
        struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
    }
    for (long at = 0; at < number; at++)
        require(pthread_create(&threads[at], NULL, run, (void *)at) == 0, "pthread_create");
    unsigned long sum = 0;
    for (long at = 0; at < number; at++) {
        void *result;
        pthread_join(threads[at], &result);
        sum += (unsigned long)result;
    }
    if (strcmp(mode, "signals") == 0)
        require(atomic_load(&alarms) > 0, "no alarm came");
    printf("%lx\n", sum);
    return 0;
}
