// Runs a script of memory calls over an arena of 64 pages and prints each result and each page's state. All
// numbers are pages relative to the arena, so nothing printed depends on where it lies.
#include "script.h"
#include <setjmp.h>

enum { PAGES = 64 };
static char *arena;
static int file;
static int line;
static sigjmp_buf back;
static volatile int fault;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    fault = signal == SIGBUS ? 'B' : info->si_code == SEGV_ACCERR ? 'a' : 'm';
    siglongjmp(back, 1);
}

static char *page(const char *word) {
    return arena + number(word) * (long)PAGE;
}

static void result(const char *what, long r) {
    int error = errno;
    line++;
    if (r == -1) say("%d %s: %s", line, what, errno_name(error));
    else say("%d %s: %ld", line, what, r);
}

// A pointer result, relative to the arena; outside it the kernel chose, and the mapping is dropped again.
static void placed(const char *what, char *at, size_t length) {
    if (at == MAP_FAILED) {
        result(what, -1);
    } else if (at >= arena && at < arena + PAGES * PAGE) {
        result(what, (at - arena) / (long)PAGE);
    } else {
        say("%d %s: elsewhere", ++line, what);
        MUST(munmap(at, length));
    }
}

static int protection(const char *word) {
    return number(word) & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

// map PAGE COUNT PROT KIND OFFSET; KIND: a anonymous, s shared anonymous, f private file, F shared file.
static void do_map(char **w) {
    char kind = w[3][0];
    int flags = MAP_FIXED | (kind == 's' || kind == 'F' ? MAP_SHARED : MAP_PRIVATE);
    size_t length = number(w[1]) * PAGE;
    if (kind == 'a' || kind == 's')
        placed("map", mmap(page(w[0]), length, protection(w[2]), flags | MAP_ANONYMOUS, -1, 0), length);
    else placed("map", mmap(page(w[0]), length, protection(w[2]), flags, file, number(w[4]) * PAGE), length);
}

static void do_map_noreplace(char **w) {
    size_t length = number(w[1]) * PAGE;
    placed("map_noreplace",
           mmap(page(w[0]), length, protection(w[2]), MAP_PRIVATE | MAP_ANONYMOUS | 0x100000, -1, 0), length);
}

static void do_unmap(char **w) {
    result("unmap", munmap(page(w[0]), number(w[1]) * PAGE));
}

static void do_protect(char **w) {
    result("protect", mprotect(page(w[0]), number(w[1]) * PAGE, protection(w[2])));
}

static void do_remap(char **w) {
    size_t length = number(w[2]) * PAGE;
    placed("remap", mremap(page(w[0]), number(w[1]) * PAGE, length, number(w[3]), page(w[4])), length);
}

static void do_dontneed(char **w) {
    result("dontneed", madvise(page(w[0]), number(w[1]) * PAGE, MADV_DONTNEED));
}

static void do_sync(char **w) {
    result("sync", msync(page(w[0]), number(w[1]) * PAGE, MS_SYNC));
}

static void do_set(char **w) {
    volatile char *at = page(w[0]) + number(w[1]) % PAGE;
    line++;
    if (sigsetjmp(back, 1) == 0) {
        *at = number(w[2]);
        say("%d set", line);
    } else {
        say("%d set: %c", line, fault);
    }
}

// A system call that writes into the arena: pread of a pattern from the file.
static void do_read_file(char **w) {
    result("read_file", pread(file, page(w[0]) + number(w[1]) % PAGE, number(w[2]), number(w[3])));
}

static void do_write_file(char **w) {
    result("write_file", pwrite(file, page(w[0]) + number(w[1]) % PAGE, number(w[2]), number(w[3])));
}

static void do_truncate_file(char **w) {
    result("truncate_file", ftruncate(file, number(w[0])));
}

// One character a page: m not mapped, a no access, B beyond the file's end, r readable, w writable too; then
// a hash. Only the last look tries to write, because that gives a private mapping pages of its own.
static void show_state(bool try_writing) {
    char text[PAGES + 1] = "";
    static uint64_t all;
    all = 0;
    for (volatile int i = 0; i < PAGES; i++) {
        char *at = arena + i * PAGE;
        if (sigsetjmp(back, 1) == 0) {
            all = all * 31 + hash(at, PAGE);
            text[i] = 'r';
        } else {
            text[i] = fault;
        }
        if (!try_writing || text[i] != 'r') continue;
        volatile char *byte = at + 100;
        if (sigsetjmp(back, 1) == 0) {
            *byte = *byte;
            text[i] = 'w';
        }
    }
    struct stat st;
    MUST(fstat(file, &st));
    say("%d %s %016lx file %ld", ++line, text, (unsigned long)all, (long)st.st_size);
}

static void do_state(char **w) {
    (void)w;
    show_state(false);
}

static const struct command commands[] = {
    {"map", do_map},
    {"map_noreplace", do_map_noreplace},
    {"unmap", do_unmap},
    {"protect", do_protect},
    {"remap", do_remap},
    {"dontneed", do_dontneed},
    {"sync", do_sync},
    {"set", do_set},
    {"read_file", do_read_file},
    {"write_file", do_write_file},
    {"truncate_file", do_truncate_file},
    {"state", do_state},
    {NULL, NULL},
};

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL));
    MUST(sigaction(SIGBUS, &action, NULL));
    char *script = read_script(), pattern[PAGE];
    file = MUST(open("file", O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < 24; i++) {
        for (size_t k = 0; k < PAGE; k++) pattern[k] = i * 11 + k / 16;
        MUST(write(file, pattern, PAGE));
    }
    // Free room on both sides, so that mappings whose place the kernel chooses do not land in the arena's
    // holes.
    const size_t room = 4096 * PAGE, middle = (PAGES + 64) * PAGE;
    char *whole =
        mmap(NULL, 2 * room + middle, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (whole == MAP_FAILED) must("mmap", -1, errno);
    MUST(munmap(whole, room));
    MUST(munmap(whole + room + middle, room));
    arena = whole + room + 32 * PAGE;
    run_script(script, commands);
    show_state(true);
    for (off_t at = 0; pread(file, pattern, PAGE, at) > 0; at += PAGE)
        say("file page %ld %016lx", (long)(at / PAGE), (unsigned long)hash(pattern, PAGE));
    return 0;
}
