// Printing for the programs below this directory: what a program sees, one line an observation, written
// straight to standard output so that it is safe in signal handlers, threads and just before execve or a
// crash. What legitimately differs between two kernels (ids, addresses, inode numbers, times) is never
// printed as is.
#ifndef SHOW_H
#define SHOW_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

// Prints one line.
__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...) {
    char line[4096];
    va_list args;
    int saved = errno;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2) n = sizeof line - 2;
    line[n++] = '\n';
    if (write(STDOUT_FILENO, line, n) != n) _exit(98);
    errno = saved;
}

// clang-format off
static inline const char *errno_name(int number) {
    static __thread char other[24];
#define E(name) case name: return #name;
    switch (number) {
        E(EPERM) E(ENOENT) E(ESRCH) E(EINTR) E(EIO) E(ENXIO) E(E2BIG) E(ENOEXEC) E(EBADF) E(ECHILD)
        E(EAGAIN) E(ENOMEM) E(EACCES) E(EFAULT) E(ENOTBLK) E(EBUSY) E(EEXIST) E(EXDEV) E(ENODEV) E(ENOTDIR)
        E(EISDIR) E(EINVAL) E(ENFILE) E(EMFILE) E(ENOTTY) E(ETXTBSY) E(EFBIG) E(ENOSPC) E(ESPIPE) E(EROFS)
        E(EMLINK) E(EPIPE) E(EDOM) E(ERANGE) E(EDEADLK) E(ENAMETOOLONG) E(ENOLCK) E(ENOSYS) E(ENOTEMPTY)
        E(ELOOP) E(ENODATA) E(EOVERFLOW) E(EILSEQ) E(ENOTSOCK) E(EDESTADDRREQ) E(EMSGSIZE) E(EPROTOTYPE)
        E(ENOPROTOOPT) E(EPROTONOSUPPORT) E(ESOCKTNOSUPPORT) E(EOPNOTSUPP) E(EAFNOSUPPORT) E(EADDRINUSE)
        E(EADDRNOTAVAIL) E(ENETUNREACH) E(ECONNABORTED) E(ECONNRESET) E(ENOBUFS) E(EISCONN) E(ENOTCONN)
        E(ETIMEDOUT) E(ECONNREFUSED) E(EHOSTUNREACH) E(EALREADY) E(EINPROGRESS) E(ECANCELED) E(EOWNERDEAD)
        E(ENOTRECOVERABLE) E(ETOOMANYREFS) E(ESTALE) E(ELIBBAD) E(EPFNOSUPPORT) E(ESHUTDOWN)
    }
#undef E
    snprintf(other, sizeof other, "errno %d", number);
    return other;
}
// clang-format on

static inline long show_result(const char *what, long result, int error) {
    if (result == -1) say("%s = -1 %s", what, errno_name(error));
    else say("%s = %ld", what, result);
    return result;
}

static inline long show_success(const char *what, long result, int error) {
    if (result == -1) say("%s = -1 %s", what, errno_name(error));
    else say("%s: ok", what);
    return result;
}

static inline void show_error(const char *what, int error) {
    say("%s: %s", what, error ? errno_name(error) : "0");
}

static inline long must(const char *what, long result, int error) {
    if (result == -1) {
        say("cannot go on: %s: %s", what, errno_name(error));
        _exit(99);
    }
    return result;
}

// The result of a system call, with the errno's name when it is -1.
#define SHOW(call)                         \
    ({                                     \
        errno = 0;                         \
        long show_r = (long)(call);        \
        show_result(#call, show_r, errno); \
    })
// The same where the value on success differs from run to run (a pid, an address).
#define SHOW_OK(call)                       \
    ({                                      \
        errno = 0;                          \
        long show_r = (long)(call);         \
        show_success(#call, show_r, errno); \
    })
// A call that returns an error number, as the pthread ones do.
#define SHOW_ERROR(call) show_error(#call, call)
// A value that is not a system call's result.
#define SHOW_NUMBER(value) say("%s: %ld", #value, (long)(value))
#define SHOW_TRUE(value) say("%s: %s", #value, (value) ? "yes" : "no")
// A step that is not under test and has to succeed.
#define MUST(call)                  \
    ({                              \
        long must_r = (long)(call); \
        must(#call, must_r, errno); \
    })

// Bytes, with everything unprintable escaped.
static inline void show_bytes(const char *what, const void *data, long length) {
    char text[2048];
    int n = 0;
    for (long i = 0; i < length && n < (int)sizeof text - 8; i++) {
        unsigned char c = ((const unsigned char *)data)[i];
        if (c >= ' ' && c < 127 && c != '\\') text[n++] = c;
        else n += snprintf(text + n, 5, "\\x%02x", c);
    }
    text[n] = 0;
    say("%s: \"%s\"", what, text);
}

// Type, permissions, links and size; a directory's link count and size belong to its file system.
static inline void show_stat(const char *what, const struct stat *st) {
    const char *type = S_ISREG(st->st_mode)    ? "file"
                       : S_ISDIR(st->st_mode)  ? "directory"
                       : S_ISLNK(st->st_mode)  ? "symlink"
                       : S_ISFIFO(st->st_mode) ? "fifo"
                       : S_ISCHR(st->st_mode)  ? "character device"
                       : S_ISSOCK(st->st_mode) ? "socket"
                                               : "other";
    if (S_ISDIR(st->st_mode)) say("%s: %s %04o", what, type, st->st_mode & 07777);
    else
        say("%s: %s %04o links %ld size %ld", what, type, st->st_mode & 07777, (long)st->st_nlink,
            (long)st->st_size);
}

static inline void show_path(const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0) say("%s: %s", path, errno_name(errno));
    else show_stat(path, &st);
}

static inline void show_fd(const char *what, int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0) say("%s: %s", what, errno_name(errno));
    else show_stat(what, &st);
}

// A file with this text, replacing what was there.
static inline void make_file(const char *path, const char *text) {
    int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    MUST(write(fd, text, strlen(text)));
    MUST(close(fd));
}

// What a file holds (its first 1024 bytes).
static inline void show_content(const char *path) {
    char data[1024];
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        say("%s: %s", path, errno_name(errno));
        return;
    }
    show_bytes(path, data, read(fd, data, sizeof data));
    close(fd);
}

// An address that nothing is mapped at and that the compiler knows nothing about.
static inline void *bad_pointer(void) {
    uintptr_t address = 16;
    __asm__ volatile("" : "+r"(address));
    return (void *)address;
}

// `pages` writable pages with an inaccessible one behind them.
static inline char *guarded_pages(size_t pages) {
    char *at = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) must("mmap", -1, errno);
    MUST(mprotect(at + pages * PAGE, PAGE, PROT_NONE));
    return at;
}

static inline long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR) continue;
}

static inline void on_signal(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    MUST(sigaction(number, &action, NULL));
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, body, argument);
    if (error) must("pthread_create", -1, error);
    return thread;
}

static inline const char *self_path(void) {
    return (const char *)getauxval(AT_EXECFN);
}

// Starts this program again with one or two arguments; the child sees argc > 1.
static inline pid_t spawn_self(const char *first, const char *second) {
    extern char **environ;
    char *argv[] = {(char *)self_path(), (char *)first, (char *)second, NULL};
    pid_t child;
    int error = posix_spawn(&child, self_path(), NULL, NULL, argv, environ);
    if (error) must("posix_spawn", -1, error);
    return child;
}

static inline void show_status(const char *what, int status) {
    if (WIFEXITED(status)) say("%s: exited %d", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) say("%s: killed by %d", what, WTERMSIG(status));
    else if (WIFSTOPPED(status)) say("%s: stopped by %d", what, WSTOPSIG(status));
    else say("%s: status %#x", what, status);
}

static inline void show_child(const char *what, pid_t child) {
    int status;
    MUST(waitpid(child, &status, 0));
    show_status(what, status);
}
#endif
