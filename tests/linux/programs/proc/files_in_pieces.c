// proc files are read in small pieces, by pread and again after a seek, with the same text.
#include "show.h"

int main(void) {
    char whole[4096], pieces[4096];
    int fd = MUST(open("/proc/self/cmdline", O_RDONLY));
    long n = read(fd, whole, sizeof whole), m = 0, r;
    SHOW_TRUE(n > 0);
    SHOW(lseek(fd, 0, SEEK_SET));
    while ((r = read(fd, pieces + m, 7)) > 0) m += r;
    SHOW_TRUE(n == m && !memcmp(whole, pieces, n));
    SHOW_TRUE(pread(fd, pieces, 5, 3) == 5 && !memcmp(whole + 3, pieces, 5));
    SHOW(pread(fd, pieces, 5, 100000));
    fd = MUST(open("/proc/version", O_RDONLY));
    SHOW(read(fd, pieces, 5));
    show_bytes("version", pieces, 5);
    struct stat st;
    MUST(fstat(fd, &st));
    SHOW_NUMBER(st.st_size);
    SHOW_TRUE(S_ISREG(st.st_mode));
    SHOW(open("/proc/version", O_RDONLY | O_DIRECTORY));
    return 0;
}
