// statfs and fstatfs agree with each other and say what every file system says.
#include "show.h"
#include <sys/statfs.h>

int main(void) {
    struct statfs a, b;
    make_file("file", "");
    int fd = MUST(open("file", O_RDONLY)), ends[2];
    SHOW(statfs("file", &a));
    SHOW(fstatfs(fd, &b));
    SHOW_TRUE(a.f_type == b.f_type && a.f_bsize == b.f_bsize);
    SHOW_TRUE(a.f_bsize >= 512 && a.f_blocks >= a.f_bfree && a.f_bfree >= a.f_bavail);
    SHOW_NUMBER(a.f_namelen);
    SHOW(statfs("missing", &a));
    SHOW(statfs("file/x", &a));
    SHOW(statfs("file", bad_pointer()));
    SHOW(fstatfs(-1, &a));
    MUST(pipe(ends));
    SHOW(fstatfs(ends[0], &a));
    say("pipe: type %lx name length %ld", (long)a.f_type, (long)a.f_namelen);
    return 0;
}
