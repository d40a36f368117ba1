// /proc/self/auxv agrees with getauxval.
#include "show.h"

int main(void) {
    unsigned long entries[128];
    int fd = MUST(open("/proc/self/auxv", O_RDONLY));
    long n = read(fd, entries, sizeof entries);
    SHOW_TRUE(n > 0 && n % 16 == 0);
    int compared = 0, different = 0, end = -1;
    for (int i = 0; i < n / 8; i += 2) {
        if (entries[i] == AT_NULL) {
            end = i;
            break;
        }
        if (entries[i] == AT_PAGESZ || entries[i] == AT_PHNUM || entries[i] == AT_ENTRY ||
            entries[i] == AT_RANDOM) {
            compared++;
            different += getauxval(entries[i]) != entries[i + 1];
        }
    }
    SHOW_NUMBER(compared);
    SHOW_NUMBER(different);
    SHOW_TRUE(end >= 0);
    return 0;
}
