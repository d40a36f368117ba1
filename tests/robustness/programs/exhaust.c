// Uses one thing up until it is refused, shows that the rest goes on, gives everything back, and does it again: the errno, and whether the
// second time went as far as the first.
#include "show.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <setjmp.h>

#define MOST 4000000L

static void **kept;
static long count;

static char block[1 << 20];

// --- memory of the program ---

static int by_malloc(void) {
    void *p = malloc(1 << 20);
    if (!p) return -1;
    memset(p, 1, 1 << 20);
    kept[count] = p;
    return 0;
}
static void free_malloc(long i) { free(kept[i]); }

static int by_mmap(void) {
    void *p = mmap(NULL, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return -1;
    *(char *)p = 1;
    kept[count] = p;
    return 0;
}
static void free_mmap(long i) { MUST(munmap(kept[i], 256 << 10)); }

static int by_shared(void) {
    void *p = mmap(NULL, 256 << 10, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return -1;
    *(char *)p = 1;
    kept[count] = p;
    return 0;
}

static char *heap_end;
static int by_brk(void) {
    if (count == 0) heap_end = sbrk(0);
    return sbrk(1 << 20) == (void *)-1 ? -1 : 0;
}
static void free_brk(long i) {
    // What the C library took meanwhile, if anything, lies above.
    if (i == 0 && sbrk(0) == heap_end + (count << 20)) MUST(brk(heap_end));
}

// --- files ---

static int file;
static int by_write(void) {
    if (count == 0) file = MUST(open("large", O_RDWR | O_CREAT, 0600));
    long done = write(file, block, sizeof block);
    return done == (long)sizeof block ? 0 : done < 0 ? -1 : by_write();
}
static void free_write(long i) {
    if (i == 0) {
        MUST(close(file));
        MUST(unlink("large"));
    }
}

static int by_memfd(void) {
    if (count == 0) file = MUST(memfd_create("large", 0));
    long done = write(file, block, sizeof block);
    return done == (long)sizeof block ? 0 : done < 0 ? -1 : by_memfd();
}
static void free_memfd(long i) {
    if (i == 0) MUST(close(file));
}

static void name_of(char *name, long i) { sprintf(name, "d%ld/f%ld", i / 1000, i); }
static int by_inodes(void) {
    char name[64];
    if (count % 1000 == 0) {
        sprintf(name, "d%ld", count / 1000);
        if (mkdir(name, 0700) < 0) return -1;
    }
    name_of(name, count);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return -1;
    return close(fd);
}
static void free_inodes(long i) {
    char name[64];
    name_of(name, i);
    unlink(name);
    if (i % 1000 == 0) {
        sprintf(name, "d%ld", i / 1000);
        rmdir(name);
    }
}

// Links in one directory: little beside its table of names, which doubles.
static int by_names(void) {
    char name[64];
    if (count == 0) {
        MUST(mkdir("names", 0700));
        MUST(close(MUST(open("named", O_WRONLY | O_CREAT, 0600))));
    }
    sprintf(name, "names/%ld", count);
    return link("named", name);
}
static void free_names(long i) {
    char name[64];
    sprintf(name, "names/%ld", i);
    MUST(unlink(name));
    if (i == 0) {
        MUST(rmdir("names"));
        MUST(unlink("named"));
    }
}

static int by_symlinks(void) {
    char name[64];
    static char target[4000];
    memset(target, 't', sizeof target - 1);
    sprintf(name, "l%ld", count);
    return symlink(target, name);
}
static void free_symlinks(long i) {
    char name[64];
    sprintf(name, "l%ld", i);
    MUST(unlink(name));
}

static int by_xattrs(void) {
    char name[64];
    sprintf(name, "x%ld", count);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return -1;
    close(fd);
    if (setxattr(name, "user.attribute", block, 60000, 0) == 0) return 0;
    int error = errno;
    unlink(name);
    errno = error;
    return -1;
}
static void free_xattrs(long i) {
    char name[64];
    sprintf(name, "x%ld", i);
    MUST(unlink(name));
}

static sigjmp_buf beyond;
static void on_bus_error(int number) {
    (void)number;
    siglongjmp(beyond, 1);
}

// As on a tmpfs, what a shared mapping cannot store is SIGBUS.
static int by_dirty_mapping(void) {
    static char *at;
    if (count == 0) {
        file = MUST(open("mapped", O_RDWR | O_CREAT, 0600));
        MUST(ftruncate(file, 20L << 30));
    }
    if (count % 256 == 0) {
        at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, count * PAGE);
        if (at == MAP_FAILED) return -1;
        kept[count] = at;
    }
    if (sigsetjmp(beyond, 1) != 0) {
        errno = ENOSPC;
        return -1;
    }
    on_signal(SIGBUS, on_bus_error, 0);
    at[count % 256 * PAGE] = 1;
    return 0;
}
static void free_dirty_mapping(long i) {
    if (i % 256 == 0) MUST(munmap(kept[i], 1 << 20));
    if (i == 0) {
        MUST(close(file));
        MUST(unlink("mapped"));
    }
}

// --- objects of the kernel ---

static int by_pipes(void) {
    int pair[2];
    if (pipe2(pair, O_NONBLOCK) < 0) return -1;
    kept[count] = (void *)(long)(pair[0] | (long)pair[1] << 32);
    fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
    long done = write(pair[1], block, sizeof block);
    if (done > 0) return 0;
    int error = errno;
    close(pair[0]);
    close(pair[1]);
    errno = error;
    return -1;
}
static void free_pipes(long i) {
    close((int)(long)kept[i]);
    close((long)kept[i] >> 32);
}

static int by_sockets(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0) return -1;
    kept[count] = (void *)(long)(pair[0] | (long)pair[1] << 32);
    long sent = 0, done;
    while ((done = send(pair[1], block, 30000, 0)) > 0) sent += done;
    if (errno == EAGAIN && sent > 0) return 0;
    int error = errno;
    close(pair[0]);
    close(pair[1]);
    errno = error;
    return -1;
}

// Messages with descriptors that are in no table any more.
static int by_passing(void) {
    int pair[2], inner[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0) return -1;
    kept[count] = (void *)(long)(pair[0] | (long)pair[1] << 32);
    for (int i = 0; i < 8; i++) {
        if (pipe2(inner, O_NONBLOCK) < 0) break;
        long done = write(inner[1], block, 65536);
        char control[CMSG_SPACE(2 * sizeof(int))] = {0};
        struct iovec part = {"x", 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){CMSG_LEN(sizeof inner), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(header), inner, sizeof inner);
        if (done > 0) done = sendmsg(pair[1], &message, 0);
        int error = errno;
        close(inner[0]);
        close(inner[1]);
        errno = error;
        if (done > 0 || error == EAGAIN) continue;
        close(pair[0]);
        close(pair[1]);
        errno = error;
        return -1;
    }
    return 0;
}

static int epoll, event_file;
static int by_epoll(void) {
    if (count == 0) {
        epoll = MUST(epoll_create1(0));
        event_file = MUST(eventfd(0, 0));
    }
    int fd = dup(event_file);
    if (fd < 0) return -1;
    kept[count] = (void *)(long)fd;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return 0;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}
static void free_epoll(long i) {
    close((int)(long)kept[i]);
    if (i == 0) {
        close(epoll);
        close(event_file);
    }
}

static int by_eventfds(void) {
    int fd = eventfd(0, 0);
    kept[count] = (void *)(long)fd;
    return fd;
}
static void free_fd(long i) { close((int)(long)kept[i]); }

static int by_timers(void) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) return -1;
    kept[count] = (void *)timer;
    return 0;
}
static void free_timers(long i) { timer_delete((timer_t)kept[i]); }

static int by_signals(void) {
    if (count == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        sigprocmask(SIG_BLOCK, &set, NULL);
    }
    return sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1});
}
static void free_signals(long i) {
    (void)i;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    MUST(sigwaitinfo(&set, NULL));
}

static const struct {
    const char *name;
    int (*take)(void);
    void (*give_back)(long);
    long most;
} kinds[] = {
    {"malloc", by_malloc, free_malloc, MOST},
    {"mmap", by_mmap, free_mmap, MOST},
    {"shared memory", by_shared, free_mmap, MOST},
    {"brk", by_brk, free_brk, MOST},
    {"file", by_write, free_write, MOST},
    {"memfd", by_memfd, free_memfd, MOST},
    {"inodes", by_inodes, free_inodes, MOST},
    {"names", by_names, free_names, MOST},
    {"symlinks", by_symlinks, free_symlinks, MOST},
    {"xattrs", by_xattrs, free_xattrs, MOST},
    {"pipes", by_pipes, free_pipes, MOST},
    {"sockets", by_sockets, free_pipes, MOST},
    {"passing", by_passing, free_pipes, MOST},
    {"epoll", by_epoll, free_epoll, MOST},
    {"eventfds", by_eventfds, free_fd, MOST},
    {"timers", by_timers, free_timers, MOST},
    {"signals", by_signals, free_signals, MOST},
    {"dirty mapping", by_dirty_mapping, free_dirty_mapping, MOST},
};

static void *body(void *argument) {
    return argument;
}

// The program still can do what does not take much.
static void show_life(void) {
    char line[64] = {0};
    int zero = open("/dev/zero", O_RDONLY);
    if (zero >= 0) close(zero);
    int self = open("/proc/self/stat", O_RDONLY);
    if (self >= 0) close(self);
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL) == 0) pthread_join(thread, NULL);
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) == 0 && getcwd(line, sizeof line)) say("it lives");
}

int main(int argc, char **argv) {
    size_t which = 0;
    while (which < sizeof kinds / sizeof *kinds && (argc < 2 || strcmp(kinds[which].name, argv[1]))) which++;
    if (which == sizeof kinds / sizeof *kinds) return 2;
    kept = mmap(NULL, MOST * sizeof *kept, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if ((void *)kept == MAP_FAILED) must("mmap", -1, errno);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    // What the C library keeps for threads it has from now on.
    pthread_join(start_thread(body, NULL), NULL);
    long reached[2];
    for (int round = 0; round < 2; round++) {
        errno = 0;
        for (count = 0; count < kinds[which].most && kinds[which].take() >= 0; count++) continue;
        say("%s: %s", kinds[which].name, errno_name(errno));
        reached[round] = count;
        for (int i = 0; i < 100; i++) {
            if (count < kinds[which].most && kinds[which].take() >= 0) count++;
        }
        show_life();
        if (argc > 2) say("%ld", count);
        for (long i = count - 1; i >= 0; i--) kinds[which].give_back(i);
    }
    SHOW_TRUE(reached[0] > 0);
    SHOW_TRUE(reached[1] >= reached[0] / 10 * 9);
    return 0;
}
