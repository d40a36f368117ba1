// /proc/self/maps shows the program's own mappings with their protection, offset and file.
#include "show.h"

static void find(const char *what, void *address) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[PATH_MAX + 200], flags[8], path[PATH_MAX];
    unsigned long from, to, offset;
    bool found = false;
    while (fgets(line, sizeof line, f)) {
        path[0] = 0;
        if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %[^\n]", &from, &to, flags, &offset, path) < 4)
            say("odd line: %s", line);
        if ((uintptr_t)address < from || (uintptr_t)address >= to) continue;
        found = true;
        char *base = strrchr(path, '/');
        say("%s: %s offset %lx pages %lu %s", what, flags, offset, *path == '[' ? 0 : (to - from) / PAGE,
            base ? base : path);
    }
    if (!found) say("%s: not there", what);
    fclose(f);
}

int main(void) {
    char *fence = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int rw = PROT_READ | PROT_WRITE, fixed = MAP_FIXED;
    find("none", fence);
    mmap(fence + 1 * PAGE, 3 * PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
    find("anonymous", fence + 2 * PAGE);
    MUST(mprotect(fence + 2 * PAGE, PAGE, PROT_READ));
    find("split", fence + 1 * PAGE);
    find("split", fence + 2 * PAGE);
    int fd = MUST(open("mapped-file", O_RDWR | O_CREAT, 0644));
    MUST(ftruncate(fd, 4 * PAGE));
    mmap(fence + 5 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | fixed, fd, PAGE);
    find("file", fence + 6 * PAGE);
    mmap(fence + 8 * PAGE, PAGE, rw, MAP_SHARED | fixed, fd, 0);
    find("shared file", fence + 8 * PAGE);
    int local;
    find("stack", &local);
    return 0;
}
