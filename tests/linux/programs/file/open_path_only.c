// An O_PATH descriptor names a file and does next to nothing else.
#include "show.h"

int main(void) {
    make_file("file", "text");
    MUST(symlink("file", "link"));
    MUST(mkdir("directory", 0755));
    make_file("directory/inner", "deep");
    char c;
    int fd = MUST(open("file", O_PATH));
    SHOW(read(fd, &c, 1));
    SHOW(write(fd, "x", 1));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(fchmod(fd, 0600));
    SHOW(ftruncate(fd, 0));
    show_fd("O_PATH file", fd);
    SHOW_TRUE(fcntl(fd, F_GETFL) & O_PATH);
    SHOW_OK(fcntl(fd, F_DUPFD, 0));
    int link = MUST(open("link", O_PATH | O_NOFOLLOW));
    show_fd("O_PATH link", link);
    char target[16];
    SHOW(readlinkat(link, "", target, sizeof target));
    int directory = MUST(open("directory", O_PATH | O_DIRECTORY));
    SHOW_OK(openat(directory, "inner", O_RDONLY));
    SHOW(fchdir(directory));
    show_content("inner");
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    SHOW(close(fd));
    return 0;
}
