// chown with -1 changes nothing but clears set-id bits; giving a file to oneself is allowed.
#include "show.h"

int main(void) {
    make_file("file", "");
    int fd = MUST(open("file", O_RDWR));
    SHOW(chown("file", getuid(), getgid()));
    SHOW(chown("file", -1, -1));
    struct stat st;
    MUST(stat("file", &st));
    SHOW_TRUE(st.st_uid == getuid());
    SHOW_TRUE(st.st_gid == getgid());
    MUST(chmod("file", 06755));
    SHOW(fchown(fd, getuid(), -1));
    show_path("file");
    SHOW(chown("missing", -1, -1));
    SHOW(fchown(-1, -1, -1));
    MUST(symlink("missing", "dangling"));
    SHOW(chown("dangling", getuid(), -1));
    SHOW(lchown("dangling", getuid(), -1));
    SHOW(fchownat(AT_FDCWD, "dangling", getuid(), -1, AT_SYMLINK_NOFOLLOW));
    SHOW(fchownat(AT_FDCWD, "file", -1, -1, 0x4000));
    SHOW(fchownat(fd, "", getuid(), -1, AT_EMPTY_PATH));
    return 0;
}
