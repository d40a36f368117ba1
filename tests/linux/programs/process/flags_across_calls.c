// A system call keeps the flags, and is served whatever flags are set (AC, DF).
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CF 0x1ul
#define ARITHMETIC 0x8d5ul
#define DF 0x400ul
#define AC 0x40000ul

// Flags after the last call.
static unsigned long after;

// Makes the call with these flags set in addition.
static long call(long number, long a, long b, long c, unsigned long set) {
    long result;
    unsigned long found;
    __asm__ volatile(
        "pushfq; pop %%r12; mov %%r12, %%r13; or %[set], %%r13; push %%r13; popfq; syscall;"
        "pushfq; pop %[found]; push %%r12; popfq"
        : "=a"(result), [found] "=&r"(found)
        : "a"(number), "D"(a), "S"(b), "d"(c), [set] "r"(set)
        : "rcx", "r11", "r12", "r13", "memory", "cc");
    after = found & (ARITHMETIC | DF | AC);
    return result;
}

static void show(const char *what, long result, unsigned long mask) {
    printf("%s: %ld, flags %lx\n", what, result, after & mask);
    fflush(stdout);
}

static void arithmetic(void) {
    const unsigned long sets[] = {CF, 0x4, 0x10, 0x40, 0x80, 0x800, ARITHMETIC, 0x811};
    for (unsigned i = 0; i < sizeof sets / sizeof *sets; i++) {
        long result = call(SYS_getpid, 0, 0, 0, sets[i]);
        show("getpid", result > 0, sets[i]);
    }
}

static void misaligned(void) {
    char space[400];
    strcpy(space + 1, "/etc/passwd");
    long fd = call(SYS_open, (long)(space + 1), O_RDONLY, 0, AC);
    show("open", fd >= 0, AC);
    show("read", call(SYS_read, fd, (long)(space + 3), 101, AC) > 0, AC);
    show("stat", call(SYS_fstat, fd, (long)(space + 5), 0, AC), AC);
    show("uname", call(SYS_uname, (long)(space + 1), 0, 0, AC), AC);
    show("sleep", call(SYS_nanosleep, (long)&(struct timespec){0, 1000000}, 0, 0, AC), AC);
    show("absent", call(SYS_open, (long)"/absent", 0, 0, AC | DF), AC | DF);
    show("write", call(SYS_write, 1, (long)"written\n", 8, AC | DF), AC | DF);
    close(fd);
}

static volatile unsigned long in_handler;

static void on_alarm(int signal) {
    (void)signal;
    unsigned long flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    in_handler = flags & DF;
}

int main(void) {
    arithmetic();
    misaligned();
    signal(SIGUSR1, on_alarm);
    show("kill", call(SYS_kill, getpid(), SIGUSR1, 0, DF), DF);
    printf("handler: %lx\n", in_handler);
    return 0;
}
