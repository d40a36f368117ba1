// RLIMIT_DATA bounds private writable memory: brk, mmap and mprotect give ENOMEM; shared and read-only memory is not bound by it.
#include "show.h"
#include <sys/resource.h>

#define MIB (1UL << 20)

static void *map(int protection, int flags) {
    return mmap(NULL, 64 * MIB, protection, flags | MAP_ANONYMOUS, -1, 0);
}

int main(void) {
    char *reserved = map(PROT_NONE, MAP_PRIVATE);
    struct rlimit old, tight;
    MUST(getrlimit(RLIMIT_DATA, &old));
    tight = (struct rlimit){32 * MIB, old.rlim_max};
    SHOW(setrlimit(RLIMIT_DATA, &tight));
    SHOW_TRUE(map(PROT_READ | PROT_WRITE, MAP_PRIVATE) == MAP_FAILED);
    show_error("private writable memory", errno);
    SHOW_TRUE(map(PROT_READ, MAP_PRIVATE) != MAP_FAILED);
    SHOW_TRUE(map(PROT_READ | PROT_WRITE, MAP_SHARED) != MAP_FAILED);
    SHOW_TRUE(sbrk(64 * MIB) == (void *)-1);
    show_error("brk", errno);
    SHOW(mprotect(reserved, 64 * MIB, PROT_READ));
    SHOW(mprotect(reserved, 64 * MIB, PROT_READ | PROT_WRITE));
    SHOW(mprotect(reserved, 8 * MIB, PROT_READ | PROT_WRITE));
    reserved[8 * MIB - 1] = 1;
    SHOW(mprotect(reserved, 8 * MIB, PROT_READ | PROT_WRITE | PROT_EXEC));
    SHOW_TRUE(mremap(reserved, 8 * MIB, 64 * MIB, MREMAP_MAYMOVE) == MAP_FAILED);
    show_error("mremap", errno);
    SHOW_TRUE(malloc(64 * MIB) == NULL);
    SHOW(setrlimit(RLIMIT_DATA, &old));
    SHOW(mprotect(reserved, 64 * MIB, PROT_READ | PROT_WRITE));
    SHOW_NUMBER(reserved[8 * MIB - 1]);
    SHOW_TRUE(malloc(64 * MIB) != NULL);
    return 0;
}
