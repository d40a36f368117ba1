// preadv2/pwritev2: offset -1 means the file's own; RWF_APPEND; unknown flags.
#include "show.h"
#include <sys/uio.h>
#ifndef RWF_APPEND
#define RWF_APPEND 0x10
#endif

static long pwritev2_call(int fd, const char *text, long offset, int flags) {
    struct iovec v = {(void *)text, strlen(text)};
    return syscall(SYS_pwritev2, fd, &v, 1, offset, 0, flags);
}

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    SHOW(pwritev2_call(fd, "hello", -1, 0));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwritev2_call(fd, "J", 0, 0));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwritev2_call(fd, "!", 0, RWF_APPEND));
    SHOW(pwritev2_call(fd, "?", 0, 0x40000000));
    show_content("file");
    char data[8];
    struct iovec v = {data, 8};
    MUST(lseek(fd, 1, SEEK_SET));
    SHOW(syscall(SYS_preadv2, fd, &v, 1, -1L, 0, 0));
    SHOW(syscall(SYS_preadv2, fd, &v, 1, 0L, 0, 0));
    SHOW(lseek(fd, 0, SEEK_CUR));
    return 0;
}
