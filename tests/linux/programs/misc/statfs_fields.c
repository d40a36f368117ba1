// statfs and fstatfs: sane numbers, refusals, proc's magic.
#include "show.h"
#include <sys/statfs.h>
#include <sys/statvfs.h>

int main(void) {
    struct statfs s;
    struct statvfs v;
    SHOW(statfs(".", &s));
    SHOW_TRUE(s.f_bsize >= 512 && s.f_blocks >= s.f_bfree && s.f_namelen == 255);
    SHOW(fstatfs(0, &s));
    SHOW(statfs("/proc", &s));
    say("%lx", (unsigned long)s.f_type);
    SHOW(statfs("missing", &s));
    SHOW(fstatfs(-1, &s));
    SHOW(syscall(SYS_statfs, ".", bad_pointer()));
    SHOW(statvfs(".", &v));
    SHOW_NUMBER(v.f_namemax);
    return 0;
}
