// Seals and shared mappings: a writable mapping keeps F_SEAL_WRITE away, the seal keeps writable mappings away.
#include "show.h"
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#endif
#define SEAL_WRITE 8
#define SEAL_FUTURE_WRITE 16

static const char *map(int fd, int protection, int flags, void **at) {
    *at = mmap(NULL, PAGE, protection, flags, fd, 0);
    return *at == MAP_FAILED ? errno_name(errno) : "mapped";
}

int main(void) {
    void *at, *other;
    int fd = MUST(syscall(SYS_memfd_create, "sealed", 2));
    MUST(ftruncate(fd, PAGE));
    say("writable, shared: %s", map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, &at));
    SHOW(fcntl(fd, F_ADD_SEALS, SEAL_WRITE));
    MUST(munmap(at, PAGE));
    say("writable, private: %s", map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, &at));
    SHOW(fcntl(fd, F_ADD_SEALS, SEAL_WRITE));
    say("writable, shared: %s", map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, &other));
    say("writable, private: %s", map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, &other));
    say("readable, private: %s", map(fd, PROT_READ, MAP_PRIVATE, &other));
    SHOW(fallocate(fd, 3, 0, 10));
    SHOW(fchmod(fd, 0600));

    int later = MUST(syscall(SYS_memfd_create, "later", 2));
    MUST(ftruncate(later, PAGE));
    say("writable, shared: %s", map(later, PROT_READ | PROT_WRITE, MAP_SHARED, &at));
    SHOW(fcntl(later, F_ADD_SEALS, SEAL_FUTURE_WRITE));
    strcpy(at, "still");
    MUST(msync(at, PAGE, MS_SYNC));
    char data[6] = "";
    SHOW(pread(later, data, 6, 0));
    show_bytes("data", data, 5);
    SHOW(pwrite(later, "x", 1, 0));
    say("writable, shared: %s", map(later, PROT_READ | PROT_WRITE, MAP_SHARED, &other));
    say("readable, shared: %s", map(later, PROT_READ, MAP_SHARED, &other));
    SHOW(mprotect(other, PAGE, PROT_READ | PROT_WRITE));
    return 0;
}
