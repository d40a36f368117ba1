// O_TRUNC empties a file, also one opened for reading only, and leaves other descriptors where they were.
#include "show.h"

int main(void) {
    make_file("file", "hello world");
    int other = MUST(open("file", O_RDWR));
    MUST(lseek(other, 5, SEEK_SET));
    int fd = MUST(open("file", O_WRONLY | O_TRUNC));
    show_fd("after O_WRONLY | O_TRUNC", fd);
    SHOW(lseek(other, 0, SEEK_CUR));
    SHOW(write(other, "abc", 3));
    show_content("file");
    SHOW_OK(open("file", O_RDONLY | O_TRUNC));
    show_content("file");
    MUST(mkdir("directory", 0755));
    SHOW(open("directory", O_RDONLY | O_TRUNC));
    SHOW(open("missing", O_RDONLY | O_TRUNC));
    return 0;
}
