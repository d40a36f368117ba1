// RLIMIT_AS and RLIMIT_DATA end mmap, mremap, brk and malloc with ENOMEM; what there is stays usable.
#include "show.h"
#include <sys/resource.h>

int main(void) {
    char *before = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rlimit old, tight;
    SHOW(getrlimit(RLIMIT_AS, &old));
    tight = old;
    tight.rlim_cur = 64 << 20;
    SHOW(setrlimit(RLIMIT_AS, &tight));
    SHOW_TRUE(mmap(NULL, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    SHOW_TRUE(mremap(before, 16 * PAGE, 1 << 30, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    SHOW_TRUE(malloc(1 << 30) == NULL && errno == ENOMEM);
    SHOW_TRUE(sbrk(1 << 30) == (void *)-1 && errno == ENOMEM);
    before[5 * PAGE] = 7;
    SHOW_NUMBER(before[5 * PAGE]);
    SHOW(setrlimit(RLIMIT_AS, &old));
    SHOW_TRUE(mmap(NULL, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    SHOW_TRUE(mmap(NULL, 1ul << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    SHOW_NUMBER(errno == ENOMEM);
    return 0;
}
