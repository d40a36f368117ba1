// At RLIMIT_NOFILE every call that makes a descriptor fails with EMFILE, a thousand times over, does nothing of what it was
// asked for, and works again as soon as there is room.
#include "inet.h"
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static int listener, unix_listener;
static uint16_t port;

static int by_open(void) { return open("file", O_RDONLY); }
static int by_creat(void) { return creat("created", 0644); }
static int by_open_truncate(void) { return open("file", O_WRONLY | O_TRUNC); }
static int by_directory(void) { return open(".", O_RDONLY | O_DIRECTORY); }
static int by_path(void) { return open("file", O_PATH); }
static int by_tmpfile(void) { return open(".", O_TMPFILE | O_RDWR, 0600); }
static int by_missing(void) { return open("missing", O_RDONLY); }
static int by_dup(void) { return dup(0); }
static int by_dupfd(void) { return fcntl(0, F_DUPFD, 3); }
static int by_dupfd_cloexec(void) { return fcntl(0, F_DUPFD_CLOEXEC, 0); }
static int by_inet(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int by_datagram(void) { return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
static int by_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int by_accept(void) { return accept(listener, NULL, NULL); }
static int by_accept4(void) { return accept4(unix_listener, NULL, NULL, SOCK_NONBLOCK); }
static int by_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }
static int by_eventfd(void) { return eventfd(0, 0); }
static int by_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }
static int by_memfd(void) { return memfd_create("m", 0); }
static int by_pidfd(void) { return syscall(SYS_pidfd_open, getpid(), 0); }
static int by_signalfd(void) {
    sigset_t set;
    sigemptyset(&set);
    return signalfd(-1, &set, 0);
}
static int by_pipe(void) {
    int pair[2] = {-1, -1};
    int result = pipe2(pair, O_CLOEXEC);
    if (result == 0) close(pair[1]);
    return result == 0 ? pair[0] : result;
}
static int by_socketpair(void) {
    int pair[2] = {-1, -1};
    int result = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    if (result == 0) close(pair[1]);
    return result == 0 ? pair[0] : result;
}
static int by_opendir(void) {
    DIR *directory = opendir(".");
    if (!directory) return -1;
    int copy = dup(dirfd(directory));
    closedir(directory);
    return copy;
}

static const struct {
    const char *name;
    int (*make)(void);
    int needs;
} ways[] = {
    {"open", by_open, 1},
    {"creat", by_creat, 1},
    {"open with O_TRUNC", by_open_truncate, 1},
    {"open of a directory", by_directory, 1},
    {"open with O_PATH", by_path, 1},
    {"open with O_TMPFILE", by_tmpfile, 1},
    {"dup", by_dup, 1},
    {"F_DUPFD", by_dupfd, 1},
    {"F_DUPFD_CLOEXEC", by_dupfd_cloexec, 1},
    {"socket", by_inet, 1},
    {"datagram socket", by_datagram, 1},
    {"UNIX socket", by_unix, 1},
    {"accept", by_accept, 1},
    {"accept4", by_accept4, 1},
    {"epoll_create1", by_epoll, 1},
    {"eventfd", by_eventfd, 1},
    {"timerfd_create", by_timerfd, 1},
    {"signalfd", by_signalfd, 1},
    {"memfd_create", by_memfd, 1},
    {"pidfd_open", by_pidfd, 1},
    {"pipe", by_pipe, 2},
    {"socketpair", by_socketpair, 2},
    {"opendir", by_opendir, 2},
};
#define WAYS (sizeof ways / sizeof *ways)

// How many descriptors are open; only with room to count them.
static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void fill(int from, int limit) {
    for (int fd = from; fd < limit; fd++) MUST(dup2(0, fd));
}

static void show_all_refused(const char *when, int needs) {
    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].needs < needs) continue;
        int refused = 0;
        for (int n = 0; n < 1000; n++) refused += ways[i].make() == -1 && errno == EMFILE;
        say("%s, %s: %d times EMFILE", when, ways[i].name, refused);
    }
}

int main(void) {
    make_file("file", "contents");
    MUST(open("/dev/null", O_RDWR));
    struct rlimit limit = {64, 64};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    listener = tcp_listener(&port);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "listener"};
    unix_listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(unix_listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(unix_listener, 5));
    int client = tcp_connect(port);
    int unix_client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(connect(unix_client, (struct sockaddr *)&address, sizeof address));
    int first = unix_client + 1;
    fill(first, 64);
    SHOW_NUMBER(open_descriptors());
    show_all_refused("full", 1);
    // What is looked at first: room for the descriptor, then whether there is such a file.
    SHOW(by_missing());
    SHOW_NUMBER(open_descriptors());
    // One free number: nothing that needs two takes it, not even for a moment afterwards.
    MUST(close(63));
    show_all_refused("one free", 2);
    SHOW_NUMBER(open_descriptors());
    // Nothing was created, cut or accepted.
    show_path("created");
    show_content("file");
    MUST(close(62));
    for (size_t i = 0; i < WAYS; i++) {
        int fd = ways[i].make();
        say("room again, %s: %s", ways[i].name, fd == 62 ? "the lowest free number" : fd == 63 ? "the next number" : fd == -1 ? errno_name(errno) : "another number");
        // The accepted connections are those that were made while there was no room.
        if (fd >= 0 && (ways[i].make == by_accept || ways[i].make == by_accept4)) {
            MUST(write(ways[i].make == by_accept ? client : unix_client, "hello", 5));
            char data[8] = {0};
            fcntl(fd, F_SETFL, 0);
            SHOW(read(fd, data, sizeof data));
            show_bytes("it brings", data, 5);
        }
        if (fd >= 0) MUST(close(fd));
    }
    SHOW_NUMBER(open_descriptors());
    return 0;
}
