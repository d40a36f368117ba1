// /dev/null, /dev/zero and /dev/full.
#include "show.h"

int main(void) {
    char data[16];
    memset(data, 'x', sizeof data);
    int null = MUST(open("/dev/null", O_RDWR)), zero = MUST(open("/dev/zero", O_RDWR)),
        full = MUST(open("/dev/full", O_RDWR));
    SHOW(read(null, data, 16));
    SHOW(write(null, data, 16));
    SHOW(write(null, bad_pointer(), 16));
    SHOW(lseek(null, 100, SEEK_SET));
    SHOW(read(zero, data, 16));
    show_bytes("zero", data, 16);
    SHOW(write(zero, data, 16));
    SHOW(read(full, data, 16));
    SHOW(write(full, data, 16));
    SHOW(write(full, data, 0));
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    SHOW_TRUE(m != MAP_FAILED && m[100] == 0);
    SHOW(ftruncate(null, 0));
    SHOW_OK(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    struct stat st;
    MUST(fstat(null, &st));
    SHOW_TRUE(S_ISCHR(st.st_mode));
    say("%o %u:%u", st.st_mode & 0777, (unsigned)(st.st_rdev >> 8), (unsigned)(st.st_rdev & 255));
    MUST(fstat(zero, &st));
    say("%u:%u", (unsigned)(st.st_rdev >> 8), (unsigned)(st.st_rdev & 255));
    return 0;
}
