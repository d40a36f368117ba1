// O_TMPFILE: a file without a name, which linkat can give one.
#include "show.h"

int main(void) {
    int fd = open(".", O_RDWR | O_TMPFILE, 0640);
    SHOW_TRUE(fd >= 0);
    SHOW(write(fd, "nameless", 8));
    show_fd("before", fd);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    show_fd("after", fd);
    show_content("named");
    SHOW(open(".", O_RDONLY | O_TMPFILE, 0640));
    SHOW(open("named", O_RDWR | O_TMPFILE, 0640));
    int exclusive = MUST(open(".", O_RDWR | O_TMPFILE | O_EXCL, 0640));
    snprintf(path, sizeof path, "/proc/self/fd/%d", exclusive);
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
    return 0;
}
