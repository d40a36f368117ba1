// A descriptor from O_CREAT writes whatever the mode says; later chmods do not disturb open descriptors.
#include "show.h"

int main(void) {
    int fd = SHOW_OK(open("readonly", O_RDWR | O_CREAT | O_EXCL, 0400));
    SHOW(write(fd, "text", 4));
    show_path("readonly");
    SHOW(fchmod(fd, 0));
    SHOW(write(fd, "more", 4));
    SHOW(lseek(fd, 0, SEEK_SET));
    char data[8];
    SHOW(read(fd, data, 8));
    show_path("readonly");
    return 0;
}
