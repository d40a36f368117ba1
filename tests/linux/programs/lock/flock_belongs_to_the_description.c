// flock: shared, exclusive, conversion, duplicates, non-blocking refusals.
#include "show.h"
#include <sys/file.h>

int main(void) {
    int a = MUST(open("file", O_RDWR | O_CREAT, 0644)), b = MUST(open("file", O_RDONLY)), copy = MUST(dup(a));
    SHOW(flock(a, LOCK_EX));
    SHOW(flock(copy, LOCK_EX | LOCK_NB));
    SHOW(flock(b, LOCK_SH | LOCK_NB));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(a, LOCK_SH));
    SHOW(flock(b, LOCK_SH | LOCK_NB));
    SHOW(flock(a, LOCK_EX | LOCK_NB));
    SHOW(close(a));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(copy, LOCK_UN));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(b, 0));
    SHOW(flock(b, 99));
    SHOW(flock(-1, LOCK_EX));
    int ends[2];
    MUST(pipe(ends));
    SHOW(flock(ends[0], LOCK_EX));
    return 0;
}
