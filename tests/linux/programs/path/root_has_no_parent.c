// .. of the root is the root.
#include "show.h"

int main(void) {
    struct stat root, up;
    SHOW(stat("/", &root));
    SHOW(stat("/../../..", &up));
    SHOW_TRUE(root.st_ino == up.st_ino && root.st_dev == up.st_dev);
    SHOW(stat("//", &up));
    SHOW_TRUE(root.st_ino == up.st_ino);
    SHOW(mkdir("/", 0755));
    SHOW(rmdir("/"));
    SHOW(unlink("/"));
    SHOW(open("/", O_WRONLY));
    SHOW(rename("/", "x"));
    return 0;
}
