// write: zero lengths, holes, bad descriptors and buffers.
#include "show.h"

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    int ro = MUST(open("file", O_RDONLY));
    SHOW(write(fd, "", 0));
    SHOW(write(fd, bad_pointer(), 0));
    SHOW(write(fd, bad_pointer(), 5));
    show_fd("still empty", fd);
    SHOW(lseek(fd, 10, SEEK_SET));
    SHOW(write(fd, "", 0));
    show_fd("a zero write past the end", fd);
    SHOW(write(fd, "end", 3));
    show_content("file");
    SHOW(write(ro, "x", 1));
    SHOW(write(ro, "x", 0));
    SHOW(write(-1, "x", 1));
    SHOW(write(MUST(open(".", O_RDONLY)), "x", 1));
    return 0;
}
