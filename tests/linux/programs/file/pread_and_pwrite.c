// pread and pwrite leave the offset alone and check theirs.
#include "show.h"

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR));
    char data[8];
    MUST(lseek(fd, 2, SEEK_SET));
    SHOW(pread(fd, data, 3, 5));
    show_bytes("data", data, 3);
    SHOW(pwrite(fd, "AB", 2, 9));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pread(fd, data, 8, 11));
    SHOW(pread(fd, data, 8, 100));
    SHOW(pread(fd, data, 8, -1));
    SHOW(pwrite(fd, data, 8, -1));
    SHOW(pwrite(fd, data, 0, -1));
    show_content("file");
    int ends[2];
    MUST(pipe(ends));
    SHOW(pread(ends[0], data, 1, 0));
    SHOW(pwrite(ends[1], data, 1, 0));
    SHOW(pread(fd, data, 1, INT64_MAX));
    SHOW(pread(-1, data, 1, 0));
    return 0;
}
