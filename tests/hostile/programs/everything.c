/* Makes every host call there is, over and over, and looks at what comes back only for what no kernel does: more bytes than
 * were asked for, bytes outside of buffers, time that goes back. Everything else may fail.
 *
 * Arguments: rounds, threads. The volume is at /data, image files are at /files. Exit status 0: as many rounds as were asked
 * for; 3 and up: see `wrong`. A canary (CANARY_SEED in the environment, as the supervisor made it) is in memory all the time.
 * `leak` instead: writes the canary to the host, which has to notice. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CANARY_SIZE 16
#define GUARD 64
#define ROOM 8192

static unsigned char canary[CANARY_SIZE];
static atomic_int rounds_left;
static atomic_int next_file;
static __thread sigjmp_buf restart;
static __thread volatile int may_restart;

static void wrong(int status, const char *what) {
    char line[128];
    int length = snprintf(line, sizeof line, "wrong: %s\n", what);
    ssize_t ignored = write(2, line, length);
    (void)ignored;
    _exit(status);
}

/* A page that the host did not give, or an exception that never was. */
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    if (may_restart)
        siglongjmp(restart, 1);
    /* To return would be to fault again, for ever. */
    _exit(1);
}

static void on_alarm(int signal) { (void)signal; }

/* Bytes between guards. */
struct buffer {
    unsigned char before[GUARD];
    unsigned char bytes[ROOM];
    unsigned char after[GUARD];
};

static void guard(struct buffer *buffer) {
    memset(buffer->before, 0xee, GUARD);
    memset(buffer->bytes, 0xdd, ROOM);
    memset(buffer->after, 0xee, GUARD);
}

/* What a call left in a buffer of which it was given `length` bytes. */
static void look(const struct buffer *buffer, ssize_t count, size_t length, const char *call) {
    if (count > (ssize_t)length)
        wrong(3, call);
    for (int at = 0; at < GUARD; at++)
        if (buffer->before[at] != 0xee || buffer->after[at] != 0xee)
            wrong(4, call);
    for (size_t at = length; at < ROOM; at++)
        if (buffer->bytes[at] != 0xdd)
            wrong(5, call);
}

static void files(int worker) {
    char path[64], other[64], link[64];
    struct buffer buffer;
    struct stat status;
    struct statfs system;
    struct timespec times[2] = {{1, 0}, {2, 0}};
    snprintf(path, sizeof path, "/data/file%d", worker);
    snprintf(other, sizeof other, "/data/other%d", worker);
    snprintf(link, sizeof link, "/data/link%d", worker);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd >= 0) {
        char text[500];
        int left;
        memset(text, 'x', sizeof text);
        for (int turn = 0; turn < 3; turn++) {
            if (write(fd, text, sizeof text) > (ssize_t)sizeof text)
                wrong(3, "write");
            if (pwrite(fd, text, 100, turn * 100) > 100)
                wrong(3, "pwrite");
            off_t set = lseek(fd, turn * 10, SEEK_SET);
            if (set >= 0 && set != turn * 10)
                wrong(6, "lseek");
            lseek(fd, 0, SEEK_CUR);
            guard(&buffer);
            look(&buffer, read(fd, buffer.bytes, 300), 300, "read");
            guard(&buffer);
            look(&buffer, pread(fd, buffer.bytes, 200, 5), 200, "pread");
            ioctl(fd, FIONREAD, &left);
            if (fstat(fd, &status) == 0 && (status.st_size < 0 || (status.st_mode & S_IFMT) == 0))
                wrong(7, "fstat");
            ftruncate(fd, 50 * turn);
            fsync(fd);
            fdatasync(fd);
        }
        void *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (mapped != MAP_FAILED)
            munmap(mapped, 4096);
    }
    unlink(link);
    symlink("file", link);
    guard(&buffer);
    look(&buffer, readlink(link, (char *)buffer.bytes, 300), 300, "readlink");
    for (int turn = 0; turn < 3; turn++) {
        if (lstat(path, &status) == 0 && status.st_size < 0)
            wrong(7, "lstat");
        stat(other, &status);
        statfs("/data", &system);
        access(path, R_OK);
    }
    chmod(path, 0640);
    chown(path, -1, getgid());
    utimensat(AT_FDCWD, path, times, 0);
    link[0] = '/';
    rename(path, other);
    unlink(other);
    mkdir(path, 0700);
    rmdir(path);
    DIR *directory = opendir("/data");
    if (directory) {
        struct dirent *entry;
        int seen = 0;
        while ((entry = readdir(directory)) && seen++ < 10000)
            if (!entry->d_name[0] || strchr(entry->d_name, '/'))
                wrong(8, "readdir");
        closedir(directory);
    }
}

static void image_files(void) {
    char path[64];
    struct buffer buffer;
    for (int turn = 0; turn < 2; turn++) {
        snprintf(path, sizeof path, "/files/%d", atomic_fetch_add(&next_file, 1) % 2500);
        int fd = open(path, O_RDONLY);
        if (fd < 0)
            continue;
        guard(&buffer);
        ssize_t count = read(fd, buffer.bytes, 64);
        look(&buffer, count, 64, "read of an image file");
        /* It is what was measured, or an error. */
        if (count > 0) {
            char text[80];
            int expected = snprintf(text, sizeof text, "contents of %s\n", path + 7);
            if (count != expected || memcmp(text, buffer.bytes, expected))
                wrong(9, "an image file's contents");
        }
        void *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        if (mapped != MAP_FAILED) {
            if (((volatile char *)mapped)[0] != 'c')
                wrong(9, "a mapping of an image file");
            munmap(mapped, 4096);
        }
    }
}

static void tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct buffer buffer;
    int value = 1, left;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 4);
    getsockname(listener, (struct sockaddr *)&address, &length);
    if (length > 128)
        wrong(3, "getsockname");
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client >= 0) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect(client, (struct sockaddr *)&address, sizeof address);
    }
    struct pollfd wanted[2] = {{listener, POLLIN, 0}, {client, POLLOUT, 0}};
    int ready = poll(wanted, 2, 2);
    if (ready > 2 || (wanted[0].revents & ~(POLLIN | POLLERR | POLLHUP | POLLNVAL)))
        wrong(10, "poll");
    struct sockaddr_storage peer;
    length = sizeof peer;
    int server = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK);
    if (server >= 0 && client >= 0) {
        for (int turn = 0; turn < 3; turn++) {
            if (send(client, "0123456789", 10, MSG_NOSIGNAL) > 10)
                wrong(3, "send");
            struct pollfd one = {server, POLLIN, 0};
            poll(&one, 1, 1);
            ioctl(server, FIONREAD, &left);
            guard(&buffer);
            look(&buffer, recv(server, buffer.bytes, 100, 0), 100, "recv");
        }
        length = sizeof peer;
        getpeername(server, (struct sockaddr *)&peer, &length);
        length = sizeof value;
        getsockopt(server, SOL_SOCKET, SO_SNDBUF, &value, &length);
        if (length > sizeof value)
            wrong(3, "getsockopt");
        int epoll = epoll_create1(0);
        if (epoll >= 0) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u64 = 0x1234};
            struct epoll_event found[4];
            epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event);
            epoll_ctl(epoll, EPOLL_CTL_MOD, server, &event);
            for (int turn = 0; turn < 3; turn++) {
                int count = epoll_wait(epoll, found, 4, 1);
                if (count > 4)
                    wrong(3, "epoll_wait");
                for (int at = 0; at < count; at++)
                    if (found[at].data.u64 != 0x1234)
                        wrong(11, "epoll_wait");
            }
            epoll_ctl(epoll, EPOLL_CTL_DEL, server, NULL);
            close(epoll);
        }
        shutdown(client, SHUT_WR);
    }
    if (server >= 0)
        close(server);
    if (client >= 0)
        close(client);
    close(listener);
}

static void udp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct buffer buffer;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    bind(fd, (struct sockaddr *)&address, sizeof address);
    getsockname(fd, (struct sockaddr *)&address, &length);
    for (int turn = 0; turn < 4; turn++) {
        struct sockaddr_storage from;
        sendto(fd, "datagram", 8, 0, (struct sockaddr *)&address, sizeof address);
        length = sizeof from;
        guard(&buffer);
        ssize_t count = recvfrom(fd, buffer.bytes, 5, turn & 1 ? MSG_TRUNC : 0, (struct sockaddr *)&from, &length);
        look(&buffer, turn & 1 ? 0 : count, 5, "recvfrom");
        if (length > sizeof from)
            wrong(3, "recvfrom");
    }
    close(fd);
}

static void interfaces(void) {
    struct ifaddrs *all;
    int seen = 0;
    if (getifaddrs(&all))
        return;
    for (struct ifaddrs *each = all; each; each = each->ifa_next)
        if (!each->ifa_name || !each->ifa_name[0] || strlen(each->ifa_name) > 15 || seen++ > 4096)
            wrong(18, "getifaddrs");
    freeifaddrs(all);
}

static void clocks(void) {
    static __thread struct timespec last;
    struct timespec now, pause = {0, 20000};
    for (int turn = 0; turn < 20; turn++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_nsec < 0 || now.tv_nsec >= 1000000000)
            wrong(12, "clock_gettime");
        if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec))
            wrong(13, "the monotonic clock went back");
        last = now;
    }
    nanosleep(&pause, NULL);
    sched_yield();
}

static void memory(void) {
    char *pages = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return;
    for (int page = 0; page < 16; page++) {
        if (pages[page * 4096])
            wrong(14, "fresh memory");
        pages[page * 4096] = 1;
    }
    mprotect(pages, 4096, PROT_READ);
    mprotect(pages, 4096, PROT_READ | PROT_WRITE);
    madvise(pages + 4096, 4096, MADV_DONTNEED);
    void *moved = mremap(pages, 16 * 4096, 64 * 4096, MREMAP_MAYMOVE);
    if (moved != MAP_FAILED)
        munmap(moved, 64 * 4096);
    else
        munmap(pages, 16 * 4096);
}

static void *short_life(void *argument) {
    atomic_fetch_add((atomic_int *)argument, 1);
    return NULL;
}

static void threads(void) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    atomic_int lived = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, short_life, &lived) == 0) {
        pthread_join(thread, NULL);
        if (lived != 1)
            wrong(15, "a thread ran not once");
    }
    pthread_mutex_lock(&mutex);
    sched_yield();
    pthread_mutex_unlock(&mutex);
}

/* No quoting service is there, so there is a quote only where the host lies, and then it is anything. */
static void quote(void) {
    struct buffer buffer;
    int fd = open("/dev/attestation/quote", O_RDONLY);
    if (fd < 0)
        return;
    guard(&buffer);
    look(&buffer, read(fd, buffer.bytes, ROOM), ROOM, "read of a quote");
    close(fd);
}

/* A call that the host gets to see, with the canary in every register that may hold it. */
static void registers(void) {
    unsigned char after[CANARY_SIZE];
    uint64_t words[2];
    memcpy(words, canary, CANARY_SIZE);
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vbroadcastf128 (%0), %%ymm3; vbroadcastf128 (%0), %%ymm12" : : "r"(canary) : "xmm3", "xmm12");
    register uint64_t r8 __asm__("r8") = words[0], r9 __asm__("r9") = words[1], r10 __asm__("r10") = words[0];
    register uint64_t r12 __asm__("r12") = words[0], r13 __asm__("r13") = words[1];
    register uint64_t r14 __asm__("r14") = words[0], r15 __asm__("r15") = words[1];
    long result = SYS_write;
    __asm__ volatile("movdqu (%%rbx), %%xmm0; movdqa %%xmm0, %%xmm1; movdqa %%xmm0, %%xmm2; movdqa %%xmm0, %%xmm3;"
                     "movdqa %%xmm0, %%xmm4; movdqa %%xmm0, %%xmm5; movdqa %%xmm0, %%xmm6; movdqa %%xmm0, %%xmm7;"
                     "movdqa %%xmm0, %%xmm8; movdqa %%xmm0, %%xmm9; movdqa %%xmm0, %%xmm10; movdqa %%xmm0, %%xmm11;"
                     "movdqa %%xmm0, %%xmm12; movdqa %%xmm0, %%xmm13; movdqa %%xmm0, %%xmm14; movdqa %%xmm0, %%xmm15;"
                     "movq (%%rbx), %%mm7; syscall; movdqu %%xmm15, %[after]; emms"
                     : "+a"(result), [after] "=m"(after)
                     : "b"(canary), "D"(1L), "S"("."), "d"(1L), "r"(r8), "r"(r9), "r"(r10), "r"(r12), "r"(r13), "r"(r14),
                       "r"(r15)
                     : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    if (memcmp(after, canary, CANARY_SIZE))
        wrong(18, "the vector registers changed");
}

static void output(int worker) {
    struct termios terminal;
    ssize_t ignored = write(1, ".", 1);
    (void)ignored;
    ioctl(0, TCGETS, &terminal);
    struct pollfd wanted = {1, POLLOUT, 0};
    poll(&wanted, 1, 0);
    if (worker == 0)
        kill(getpid(), SIGALRM);
}

/* Secrets where a program and the library OS have them: heap, stack, a file in memory, a pipe, a name. */
static void hide(void) {
    for (int copy = 0; copy < 1000; copy++) {
        unsigned char *place = malloc(64);
        if (place)
            for (int at = 0; at < 64; at += CANARY_SIZE)
                memcpy(place + at, canary, CANARY_SIZE);
    }
    int fd = open("/tmp/secret", O_RDWR | O_CREAT, 0600);
    for (int copy = 0; copy < 500 && fd >= 0; copy++) {
        ssize_t ignored = write(fd, canary, CANARY_SIZE);
        (void)ignored;
    }
    int ends[2];
    if (pipe(ends) == 0) {
        ssize_t ignored = write(ends[1], canary, CANARY_SIZE);
        (void)ignored;
    }
}

static void *work(void *argument) {
    int worker = (int)(long)argument;
    unsigned char secret[CANARY_SIZE * 4];
    for (int at = 0; at < 4; at++)
        memcpy(secret + at * CANARY_SIZE, canary, CANARY_SIZE);
    while (atomic_fetch_sub(&rounds_left, 1) > 0) {
        if (sigsetjmp(restart, 1) == 0) {
            may_restart = 1;
            files(worker);
            image_files();
            tcp();
            udp();
            interfaces();
            clocks();
            memory();
            quote();
            if (worker == 0)
                threads();
            output(worker);
            registers();
        }
        may_restart = 0;
        if (memcmp(secret, canary, CANARY_SIZE))
            wrong(16, "the stack changed");
    }
    return NULL;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 1, workers = count > 2 ? atoi(arguments[2]) : 1;
    const char *seed = getenv("CANARY_SEED");
    /* Another canary is one that nobody looks for. */
    if (!seed || strlen(seed) != CANARY_SIZE)
        wrong(17, "no canary came");
    for (int at = 0; at < CANARY_SIZE; at++)
        canary[at] = seed[at] ^ 0x9c;
    if (count > 1 && !strcmp(arguments[1], "leak"))
        return write(1, canary, CANARY_SIZE) != CANARY_SIZE;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    for (int signal = 1; signal < 32; signal++)
        if (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP)
            sigaction(signal, &action, NULL);
    signal(SIGALRM, on_alarm);
    signal(SIGPIPE, SIG_IGN);
    for (int other = 1; other < 32; other++)
        if (other != SIGKILL && other != SIGSTOP && other != SIGALRM && other != SIGPIPE && other != SIGSEGV &&
            other != SIGBUS && other != SIGILL && other != SIGFPE && other != SIGTRAP)
            signal(other, SIG_IGN);
    hide();
    rounds_left = rounds;
    pthread_t threads[8];
    int started = 0;
    for (int worker = 1; worker < workers && worker <= 8; worker++)
        if (pthread_create(&threads[started], NULL, work, (void *)(long)worker) == 0)
            started++;
    work((void *)0);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    return 0;
}
