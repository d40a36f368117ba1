// Which set-id bits outlive chown, chmod, write and truncate, and what goes to files in a set-group-id directory.
#include "show.h"

static void bits(const char *what) {
    struct stat st;
    MUST(stat("file", &st));
    say("%s: %04o", what, st.st_mode & 07777);
}

int main(void) {
    make_file("file", "text");
    struct stat st;
    MUST(stat("file", &st));
    SHOW(chmod("file", 06755));
    bits("chmod");
    SHOW(chown("file", st.st_uid, st.st_gid));
    bits("chown");
    SHOW(chmod("file", 06744));
    SHOW(chown("file", -1, -1));
    bits("chown to nobody in particular");
    SHOW(chmod("file", 01777));
    bits("sticky");
    MUST(mkdir("d", 0755));
    SHOW(chmod("d", 06755));
    SHOW(chown("d", st.st_uid, st.st_gid));
    show_path("d");
    MUST(mkdir("d/inner", 0755));
    make_file("d/file", "");
    show_path("d/inner");
    show_path("d/file");
    MUST(symlink("file", "link"));
    SHOW(lchown("link", st.st_uid, st.st_gid));
    SHOW(fchownat(AT_FDCWD, "link", st.st_uid, st.st_gid, 0x4000));
    int fd = MUST(open("file", O_RDWR));
    SHOW(fchownat(fd, "", st.st_uid, st.st_gid, AT_EMPTY_PATH));
    SHOW(fchownat(fd, "", st.st_uid, st.st_gid, 0));
    SHOW(chown("missing", st.st_uid, st.st_gid));
    SHOW(fchown(-1, 0, 0));
    SHOW(syscall(SYS_fchmodat, AT_FDCWD, "link", 0600));
    bits("through a link");
    return 0;
}
