// mlock and friends: arguments, not what is resident.
#include "show.h"

int main(void) {
    char *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mlock(a, PAGE));
    SHOW(munlock(a, PAGE));
    SHOW(munlock(a, 2 * PAGE));
    MUST(munmap(a, 2 * PAGE));
    SHOW(mlock(a, PAGE));
    SHOW(munlock(a, PAGE));
    SHOW(munlockall());
    SHOW(mlockall(0));
    return 0;
}
