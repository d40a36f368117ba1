// statx: the basic mask, flags, wrong ones, and agreement with stat.
#include "show.h"

struct timestamp {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};
struct statx_result {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, spare;
    uint64_t inode, size, blocks, attributes_mask;
    struct timestamp accessed, born, changed, modified;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t rest[14];
};

static long statx_call(int fd, const char *path, int flags, unsigned mask, struct statx_result *r) {
    return syscall(SYS_statx, fd, path, flags, mask, r);
}

int main(void) {
    struct statx_result r;
    struct stat st;
    make_file("file", "0123456789");
    MUST(symlink("file", "link"));
    SHOW(statx_call(AT_FDCWD, "file", 0, 0x7ff, &r));
    SHOW_TRUE((r.mask & 0x7ff) == 0x7ff);
    MUST(stat("file", &st));
    say("mode %o links %u size %lu", r.mode, r.links, (unsigned long)r.size);
    SHOW_TRUE(r.inode == st.st_ino && r.modified.seconds == st.st_mtim.tv_sec &&
              r.modified.nanoseconds == st.st_mtim.tv_nsec);
    SHOW_TRUE(r.uid == st.st_uid && r.gid == st.st_gid && r.block_size == st.st_blksize);
    SHOW(statx_call(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, 0x7ff, &r));
    say("mode %o size %lu", r.mode, (unsigned long)r.size);
    int fd = MUST(open("file", O_RDONLY));
    SHOW(statx_call(fd, "", AT_EMPTY_PATH, 0x7ff, &r));
    SHOW(statx_call(fd, "", 0, 0x7ff, &r));
    SHOW(statx_call(fd, "x", 0, 0x7ff, &r));
    SHOW(statx_call(AT_FDCWD, "missing", 0, 0x7ff, &r));
    SHOW(statx_call(AT_FDCWD, "file", 0x2000 | 0x4000, 0x7ff, &r));
    SHOW(statx_call(AT_FDCWD, "file", 0x10, 0x7ff, &r));
    SHOW(statx_call(AT_FDCWD, "file", 0, 0x80000000U, &r));
    SHOW(statx_call(AT_FDCWD, "file", 0, 0x7ff, bad_pointer()));
    SHOW(statx_call(AT_FDCWD, bad_pointer(), 0, 0x7ff, &r));
    return 0;
}
