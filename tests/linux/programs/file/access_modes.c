// access and faccessat, with what no user may bypass.
#include "show.h"

int main(void) {
    make_file("file", "");
    MUST(chmod("file", 0600));
    MUST(mkdir("directory", 0755));
    MUST(symlink("missing", "dangling"));
    SHOW(access("file", F_OK));
    SHOW(access("file", R_OK | W_OK));
    SHOW(access("file", X_OK));
    SHOW(access("directory", R_OK | W_OK | X_OK));
    SHOW(access("missing", F_OK));
    SHOW(access("dangling", F_OK));
    SHOW(access("file", 8));
    SHOW(access("file/x", F_OK));
    SHOW(access(bad_pointer(), F_OK));
    MUST(chmod("file", 0700));
    SHOW(access("file", X_OK));
    SHOW(faccessat(AT_FDCWD, "file", R_OK, 0));
    SHOW(faccessat(-1, "file", R_OK, 0));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "file", X_OK, AT_EACCESS));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "file", X_OK, 0x4));
    return 0;
}
