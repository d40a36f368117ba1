// mmap: what each wrong argument gives.
#include "show.h"

static int failed(int protection, int flags, int fd, size_t length, off_t offset) {
    void *p = mmap(NULL, length, protection, flags, fd, offset);
    if (p == MAP_FAILED) return -1;
    munmap(p, length);
    return 0;
}

int main(void) {
    make_file("file", "0123456789");
    int ro = MUST(open("file", O_RDONLY)), rw = MUST(open("file", O_RDWR)), wo = MUST(open("file", O_WRONLY));
    int directory = MUST(open(".", O_RDONLY)), ends[2];
    MUST(pipe(ends));
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    SHOW(failed(PROT_READ, anonymous, -1, 0, 0));
    SHOW(failed(PROT_READ, MAP_ANONYMOUS, -1, PAGE, 0));
    SHOW(failed(PROT_READ, anonymous, 77, PAGE, 0));
    SHOW(failed(PROT_READ, anonymous, -1, SIZE_MAX - PAGE, 0));
    SHOW(failed(PROT_READ, MAP_PRIVATE, -1, PAGE, 0));
    SHOW(failed(PROT_READ, MAP_PRIVATE, 77, PAGE, 0));
    SHOW(failed(PROT_READ, MAP_PRIVATE, directory, PAGE, 0));
    SHOW(failed(PROT_READ, MAP_PRIVATE, ends[0], PAGE, 0));
    SHOW(failed(PROT_READ | PROT_WRITE, MAP_SHARED, ro, PAGE, 0));
    SHOW(failed(PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, PAGE, 0));
    SHOW(failed(PROT_READ, MAP_SHARED, rw, PAGE, 0));
    SHOW(failed(PROT_READ, MAP_PRIVATE, wo, PAGE, 0));
    SHOW(failed(PROT_WRITE, MAP_SHARED, wo, PAGE, 0));
    SHOW(failed(PROT_READ, MAP_PRIVATE, ro, PAGE, PAGE));
    SHOW(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 100L));
    SHOW(failed(PROT_NONE, anonymous, -1, 1UL << 30, 0));
    return 0;
}
