// O_APPEND: every write goes to the end; reads and the offset behave as usual; F_SETFL can switch it off.
#include "show.h"

int main(void) {
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR | O_APPEND));
    char data[4];
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(read(fd, data, 4));
    SHOW(write(fd, "ab", 2));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, 3, SEEK_SET));
    SHOW(write(fd, "cd", 2));
    show_content("file");
    SHOW(pwrite(fd, "ef", 2, 0));
    show_content("file");
    SHOW(fcntl(fd, F_SETFL, 0));
    SHOW(pwrite(fd, "gh", 2, 0));
    show_content("file");
    return 0;
}
