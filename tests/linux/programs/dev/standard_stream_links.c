// /dev/stdin, /dev/stdout, /dev/fd and where they lead.
#include "show.h"

int main(void) {
    int fd = SHOW_OK(open("/dev/stdout", O_WRONLY));
    SHOW(write(fd, "through /dev/stdout\n", 20));
    fd = SHOW_OK(open("/dev/fd/1", O_WRONLY));
    SHOW(write(fd, "through /dev/fd/1\n", 18));
    char c;
    fd = SHOW_OK(open("/dev/stdin", O_RDONLY));
    SHOW(read(fd, &c, 1));
    SHOW(read(0, &c, 1));
    struct stat st;
    MUST(lstat("/dev/stdout", &st));
    SHOW_TRUE(S_ISLNK(st.st_mode));
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(isatty(0));
    return 0;
}
