// A shared mapping of a file of which every second page is written: 40,000 pages apart. Linux has one mapping; so many
// changes of access must not be a limit either.
#include "show.h"

#define PAGES 80000L

int main(void) {
    int file = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(file, PAGES * PAGE));
    char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) must("mmap", -1, errno);
    for (long page = 0; page < PAGES; page += 2) at[page * PAGE] = page + 1;
    long wrong = 0;
    for (long page = 0; page < PAGES; page++) wrong += at[page * PAGE] != (page % 2 ? 0 : (char)(page + 1));
    SHOW_NUMBER(wrong);
    SHOW(msync(at, PAGES * PAGE, MS_SYNC));
    for (long page = 1; page < PAGES; page += 2) at[page * PAGE] = page + 1;
    char byte;
    for (long page = 0; page < PAGES; page += 97) {
        MUST(pread(file, &byte, 1, page * PAGE));
        wrong += byte != (char)(page + 1);
    }
    SHOW_NUMBER(wrong);
    SHOW(munmap(at, PAGES * PAGE));
    for (long page = 0; page < PAGES; page += 89) {
        MUST(pread(file, &byte, 1, page * PAGE));
        wrong += byte != (char)(page + 1);
    }
    SHOW_NUMBER(wrong);
    return 0;
}
