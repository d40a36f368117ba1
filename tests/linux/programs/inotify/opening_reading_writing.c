// What is done through open descriptions is told to the watch of the directory and to that of the file.
#include "events.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(void) {
    MUST(mkdir("d", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    SHOW(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    make_file("d/file", "some text");
    show_events("a new file", fd);
    SHOW(inotify_add_watch(fd, "d/file", IN_ALL_EVENTS));
    show_content("d/file");
    show_events("read, both watched", fd);
    make_file("d/file", "other text");
    show_events("cut and written", fd);
    int file = MUST(open("d/file", O_RDWR));
    char byte[4];
    MUST(read(file, byte, 0));
    MUST(write(file, byte, 0));
    MUST(lseek(file, 0, SEEK_END));
    MUST(read(file, byte, 4));
    show_events("nothing moved", fd);
    struct iovec v[2] = {{byte, 2}, {byte + 2, 2}};
    MUST(pread(file, byte, 4, 0));
    MUST(pwrite(file, byte, 4, 0));
    MUST(preadv(file, v, 2, 0));
    MUST(pwritev(file, v, 2, 0));
    MUST(lseek(file, 0, SEEK_SET));
    MUST(readv(file, v, 2));
    MUST(writev(file, v, 2));
    show_events("positioned and vectors", fd);
    MUST(ftruncate(file, 100));
    MUST(ftruncate(file, 100));
    show_events("size", fd);
    MUST(fallocate(file, 0, 0, 4096));
    show_events("allocate", fd);
    int other = MUST(open("d/other", O_RDWR | O_CREAT, 0600));
    show_events("another", fd);
    off_t zero = 0;
    MUST(sendfile(other, file, &zero, 100));
    show_events("sendfile", fd);
    off64_t from = 0, to = 0;
    MUST(copy_file_range(file, &from, other, &to, 50, 0));
    show_events("copy_file_range", fd);
    int again = MUST(dup(other));
    MUST(close(other));
    show_events("one of two descriptors closed", fd);
    MUST(close(again));
    show_events("the last one closed", fd);
    int place = MUST(open("d/file", O_PATH));
    MUST(close(place));
    show_events("O_PATH", fd);
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    *(char *)at = 1;
    MUST(close(file));
    show_events("still mapped", fd);
    MUST(munmap(at, 4096));
    show_events("unmapped", fd);
    SHOW(open("d/missing", O_RDONLY));
    SHOW(open("d/file", O_CREAT | O_EXCL, 0600));
    SHOW(open("d/file", O_DIRECTORY));
    show_events("refused", fd);
    return 0;
}
