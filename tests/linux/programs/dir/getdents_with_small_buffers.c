// getdents64 with a buffer too small for one entry, for one, for a few; a file; a bad pointer.
#include "show.h"

struct entry {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

int main(void) {
    MUST(mkdir("d", 0755));
    MUST(chdir("d"));
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "entry-%02d", i);
        make_file(name, "");
    }
    int fd = MUST(open(".", O_RDONLY | O_DIRECTORY));
    char buffer[4096];
    SHOW(syscall(SYS_getdents64, fd, buffer, 0));
    SHOW(syscall(SYS_getdents64, fd, buffer, 10));
    SHOW(syscall(SYS_getdents64, fd, bad_pointer(), 100));
    int sizes[] = {32, 40, 100, 1000, 4096};
    for (int s = 0; s < 5; s++) {
        MUST(lseek(fd, 0, SEEK_SET));
        int entries = 0, misaligned = 0, bad_length = 0;
        long n;
        while ((n = syscall(SYS_getdents64, fd, buffer, sizes[s])) > 0)
            for (long at = 0; at < n; entries++) {
                struct entry *e = (struct entry *)(buffer + at);
                misaligned += at % 8 != 0;
                bad_length += e->length < 19 + strlen(e->name) + 1 || e->length % 8;
                at += e->length;
            }
        say("%d bytes: %d entries, end %ld, misaligned %d, bad lengths %d", sizes[s], entries, n, misaligned,
            bad_length);
    }
    make_file("file", "");
    SHOW(syscall(SYS_getdents64, MUST(open("file", O_RDONLY)), buffer, 4096));
    SHOW(syscall(SYS_getdents64, -1, buffer, 4096));
    return 0;
}
