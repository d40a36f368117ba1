// Four threads open, map, write, signal each other and close for a while, in rounds: afterwards the process has as many
// descriptors, threads and mappings as before, and nothing is lost. The argument is for how many seconds.
#include "show.h"
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

enum { THREADS = 4 };
static atomic_long rounds, handled, bad;
static pthread_t threads[THREADS];
static pthread_barrier_t done;
static atomic_int end;

static void count(int signal) {
    (void)signal;
    atomic_fetch_add(&handled, 1);
}

static void check(bool good) {
    if (!good) atomic_fetch_add(&bad, 1);
}

static void files(int me, unsigned seed) {
    char name[32], data[5000], back[5000];
    snprintf(name, sizeof name, "f%d-%u", me, seed % 7);
    memset(data, 'a' + seed % 26, sizeof data);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0);
    check(write(fd, data, sizeof data) == sizeof data);
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    check(shared != MAP_FAILED && own != MAP_FAILED && own[4999] == data[0]);
    shared[seed % 5000] = '#';
    check(pread(fd, back, sizeof back, 0) == sizeof back && back[seed % 5000] == '#');
    own[0] = '!';
    check(munmap(own, 2 * PAGE) == 0);
    check(munmap(shared, PAGE) == 0 && munmap(shared + PAGE, PAGE) == 0);
    check(ftruncate(fd, 10) == 0 && lseek(fd, 0, SEEK_END) == 10);
    check(close(fd) == 0);
    check(unlink(name) == 0);
}

static void channels(unsigned seed) {
    int ends[2], pair[2];
    char byte = seed, back = 0;
    check(pipe2(ends, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    check(write(ends[1], &byte, 1) == 1 && read(ends[0], &back, 1) == 1 && back == byte);
    check(write(pair[0], &byte, 1) == 1);
    struct pollfd p = {pair[1], POLLIN, 0};
    int ready;
    while ((ready = poll(&p, 1, 1000)) == -1 && errno == EINTR) continue;
    check(ready == 1 && read(pair[1], &back, 1) == 1);
    int counter = eventfd(3, 0);
    uint64_t value = 0;
    check(read(counter, &value, 8) == 8 && value == 3);
    int fds[] = {ends[0], ends[1], pair[0], pair[1], counter};
    for (int i = 0; i < 5; i++) check(close(fds[i]) == 0);
}

static void memory(unsigned seed) {
    size_t length = (1 + seed % 40) * PAGE;
    char *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(at != MAP_FAILED);
    memset(at, 1, length);
    at = mremap(at, length, 2 * length, MREMAP_MAYMOVE);
    check(at != MAP_FAILED && at[0] == 1 && at[length] == 0);
    check(mprotect(at, PAGE, PROT_READ) == 0 && madvise(at + PAGE, length, MADV_DONTNEED) == 0);
    check(munmap(at, 2 * length) == 0);
    free(malloc(seed % 200000));
}

static void *nothing(void *argument) {
    return argument;
}

static void *body(void *argument) {
    int me = *(int *)argument;
    for (unsigned seed = me * 1000; !end; seed++) {
        files(me, seed);
        channels(seed);
        memory(seed);
        pthread_kill(threads[(me + 1) % THREADS], SIGUSR1);
        if (seed % 16 == 0) {
            pthread_t other;
            void *result = NULL;
            check(pthread_create(&other, NULL, nothing, &me) == 0 && pthread_join(other, &result) == 0);
            check(result == &me);
        }
        atomic_fetch_add(&rounds, 1);
    }
    // A thread that was joined must not be signalled any more: none ends before all have sent their last.
    pthread_barrier_wait(&done);
    return NULL;
}

static int entries(const char *path) {
    DIR *directory = opendir(path);
    int count = 0;
    while (directory && readdir(directory)) count++;
    if (directory) closedir(directory);
    return count;
}

// A thread that was joined may still be about to leave.
static bool comes_to(const char *path, int count) {
    for (int i = 0; i < 400; i++) {
        if (entries(path) == count) return true;
        usleep(5000);
    }
    return false;
}

static int mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    int count = 0;
    for (int c; maps && (c = fgetc(maps)) != EOF;) count += c == '\n';
    if (maps) fclose(maps);
    return count;
}

static void work(long milliseconds) {
    int ids[THREADS];
    end = 0;
    MUST(-pthread_barrier_init(&done, NULL, THREADS));
    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        // A thread may signal another before that has a number.
        threads[i] = pthread_self();
    }
    for (int i = 0; i < THREADS; i++) MUST(-pthread_create(&threads[i], NULL, body, &ids[i]));
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) == -1) continue;
    end = 1;
    for (int i = 0; i < THREADS; i++) MUST(-pthread_join(threads[i], NULL));
    MUST(-pthread_barrier_destroy(&done));
}

int main(int argc, char **argv) {
    const char *seconds = argc > 1 ? argv[1] : NULL;
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGUSR1, &action, NULL));
    work(200);
    int descriptors = entries("/proc/self/fd"), maps = mappings();
    work(seconds ? atol(seconds) * 1000 : 700);
    SHOW_TRUE(entries("/proc/self/fd") == descriptors);
    // One thread, and two entries that every directory has.
    SHOW_TRUE(comes_to("/proc/self/task", 3));
    SHOW_TRUE(mappings() <= maps + 8);
    SHOW_TRUE(rounds > 20 && handled > 5);
    SHOW_NUMBER(bad);
    return 0;
}
