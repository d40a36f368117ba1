// More mappings than a process may have: ENOMEM from mmap, mprotect, munmap and mremap, what there is stays as it was, and
// taking mappings away makes room again.
#include "show.h"

#define PAGES 140000UL

static char *area;

static bool is_page(unsigned long page, char value) {
    return area[page * PAGE] == value;
}

// Every second page loses the right to write: a mapping more each time. Returns how many pages could be changed.
static unsigned long split_by_protection(void) {
    unsigned long page = 1;
    while (page < PAGES && mprotect(area + page * PAGE, PAGE, PROT_READ) == 0) page += 2;
    show_error("the split that was refused", page < PAGES ? errno : 0);
    return page;
}

int main(void) {
    area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) must("mmap", -1, errno);
    for (unsigned long page = 0; page < PAGES; page += 1000) area[page * PAGE] = 1;
    unsigned long reached = split_by_protection();
    // Linux: vm.max_map_count. The library OS says in the same file how many it has.
    char text[32] = {0};
    int file = MUST(open("/proc/sys/vm/max_map_count", O_RDONLY));
    MUST(read(file, text, sizeof text - 1));
    long most = atol(text);
    SHOW_TRUE((long)reached <= most + 1);
    SHOW_TRUE((long)reached > most / 10 * 9 || most > (long)PAGES);
    // At the limit.
    int last = 0;
    while (last < 200 && mmap(NULL, PAGE, last % 2 ? PROT_READ : PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        last++;
    show_error("mmap", last < 200 ? errno : 0);
    SHOW(mprotect(area + (reached + 1) * PAGE, PAGE, PROT_NONE));
    SHOW(munmap(area + (reached + 1) * PAGE, PAGE));
    SHOW_TRUE(mremap(area + (reached + 3) * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area) == MAP_FAILED);
    show_error("mremap", errno);
    // Nothing was lost by what was refused.
    area[(reached + 1) * PAGE] = 2;
    area[(reached + 3) * PAGE] = 3;
    SHOW_TRUE(is_page(reached + 1, 2) && is_page(reached + 3, 3));
    bool same = true;
    for (unsigned long page = 0; page < reached; page += 1000) same = same && is_page(page, 1);
    SHOW_TRUE(same);
    SHOW(area[reached * PAGE] = 4);
    // The file table, threads and the like go on.
    int pair[2];
    SHOW(pipe(pair));
    SHOW(write(pair[1], area, 1));
    SHOW(read(pair[0], area + reached * PAGE, 1));
    // Room again.
    SHOW(munmap(area, 1000 * PAGE));
    SHOW_TRUE(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    SHOW(mprotect(area + (reached + 1) * PAGE, PAGE, PROT_READ));
    SHOW(munmap(area + (reached + 3) * PAGE, PAGE));
    SHOW(mprotect(area + 1000 * PAGE, (PAGES - 1000) * PAGE, PROT_READ | PROT_WRITE));
    show_error("which has a hole", errno);
    SHOW(munmap(area, PAGES * PAGE));
    // All over again.
    area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SHOW_TRUE(labs((long)(split_by_protection() - reached)) < 100);
    SHOW(munmap(area, PAGES * PAGE));
    return 0;
}
