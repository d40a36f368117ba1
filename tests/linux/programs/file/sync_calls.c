// fsync, fdatasync, sync_file_range, syncfs: on files, on pipes, on nothing.
#include "show.h"

int main(void) {
    make_file("file", "x");
    int fd = MUST(open("file", O_RDWR)), ends[2];
    MUST(pipe(ends));
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    SHOW(fsync(MUST(open(".", O_RDONLY))));
    SHOW(fsync(ends[0]));
    SHOW(fdatasync(-1));
    SHOW(syscall(SYS_syncfs, fd));
    SHOW(syscall(SYS_syncfs, -1));
    SHOW(syscall(SYS_sync_file_range, fd, 0L, 0L, 2));
    SHOW(syscall(SYS_sync_file_range, fd, 0L, 0L, 99));
    SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
    SHOW_ERROR(posix_fadvise(ends[0], 0, 0, POSIX_FADV_WILLNEED));
    SHOW_ERROR(posix_fadvise(fd, 0, 0, 77));
    SHOW_ERROR(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL));
    SHOW(readahead(fd, 0, 10));
    return 0;
}
