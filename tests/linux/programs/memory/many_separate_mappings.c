// Twenty-nine thousand mappings with holes between them, taken away in another order, twice; and one cut into pieces by munmap.
#include "show.h"

#define COUNT 29000L

static char *at[COUNT];

static void make_all(void) {
    long made = 0;
    while (made < COUNT) {
        char *pair = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pair == MAP_FAILED) break;
        if (munmap(pair + PAGE, PAGE) < 0) break;
        at[made++] = pair;
        *pair = made;
    }
    SHOW_NUMBER(made);
}

int main(void) {
    for (int round = 0; round < 2; round++) {
        make_all();
        long wrong = 0;
        for (long i = 0; i < COUNT; i++) wrong += *at[i] != (char)(i + 1);
        SHOW_NUMBER(wrong);
        for (long i = 0; i < COUNT; i += 2) MUST(munmap(at[i], PAGE));
        for (long i = 1; i < COUNT; i += 2) wrong += *at[i] != (char)(i + 1);
        for (long i = 1; i < COUNT; i += 2) MUST(munmap(at[i], PAGE));
        SHOW_NUMBER(wrong);
    }
    char *one = mmap(NULL, 2 * COUNT * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long cut = 0;
    while (cut < COUNT && munmap(one + (2 * cut + 1) * PAGE, PAGE) == 0) cut++;
    SHOW_NUMBER(cut);
    one[2 * (COUNT - 1) * PAGE] = 1;
    SHOW(munmap(one, 2 * COUNT * PAGE));
    return 0;
}
