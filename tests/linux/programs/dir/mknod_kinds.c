// mknod makes files, fifos and sockets without privilege; a directory it does not make.
#include "show.h"

int main(void) {
    SHOW(mknod("file", S_IFREG | 0640, 0));
    SHOW(mknod("untyped", 0640, 0));
    SHOW(mknod("fifo", S_IFIFO | 0600, 0));
    SHOW(mknod("socket", S_IFSOCK | 0600, 0));
    SHOW(mknod("directory", S_IFDIR | 0700, 0));
    SHOW(mknod("file", S_IFREG | 0640, 0));
    SHOW(mknod("missing/x", S_IFREG | 0640, 0));
    SHOW(mknodat(-1, "x", S_IFREG | 0640, 0));
    SHOW(open("socket", O_RDWR));
    show_path("file");
    show_path("untyped");
    show_path("fifo");
    show_path("socket");
    return 0;
}
