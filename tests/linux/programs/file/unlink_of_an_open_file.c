// An unlinked file lives as long as a descriptor: data, size, links 0, truncate, mmap; the name can be used
// anew.
#include "show.h"

int main(void) {
    make_file("file", "still here");
    int fd = MUST(open("file", O_RDWR));
    SHOW(unlink("file"));
    show_path("file");
    show_fd("unlinked", fd);
    char data[32];
    SHOW(read(fd, data, sizeof data));
    SHOW(write(fd, "!", 1));
    show_fd("written", fd);
    make_file("file", "another");
    show_content("file");
    SHOW(pread(fd, data, sizeof data, 0));
    show_bytes("old", data, 11);
    char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    SHOW_TRUE(map != MAP_FAILED);
    SHOW(close(fd));
    show_bytes("mapped", map, 5);
    return 0;
}
