// MAP_SHARED | MAP_ANONYMOUS behaves as memory, survives mprotect and mremap.
#include "show.h"

int main(void) {
    char *s = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SHOW_TRUE(s != MAP_FAILED);
    for (int i = 0; i < 4; i++) s[i * PAGE] = '0' + i;
    SHOW(mprotect(s, 4 * PAGE, PROT_READ));
    SHOW(mprotect(s, 4 * PAGE, PROT_READ | PROT_WRITE));
    char *again = mremap(s, 0, 2 * PAGE, MREMAP_MAYMOVE);
    SHOW_TRUE(again != MAP_FAILED && again != s);
    if (again != MAP_FAILED) {
        again[0] = 'A';
        SHOW_NUMBER(s[0]);
        SHOW_NUMBER(again[PAGE]);
    }
    SHOW(munmap(s, 4 * PAGE));
    if (again != MAP_FAILED) SHOW_NUMBER(again[0]);
    return 0;
}
