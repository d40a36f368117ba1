// What truncate cuts off does not come back when the file grows again, within a page too.
#include "show.h"

int main(void) {
    make_file("file", "0123456789abcdef");
    SHOW(truncate("file", 4));
    show_content("file");
    SHOW(truncate("file", 12));
    show_content("file");
    int fd = MUST(open("file", O_RDWR));
    SHOW(ftruncate(fd, 0));
    SHOW(ftruncate(fd, 3));
    show_content("file");
    SHOW(lseek(fd, 0, SEEK_END));
    return 0;
}
