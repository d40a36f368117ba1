// user.* attributes: round trip, listing, removal.
#include "show.h"
#include <sys/xattr.h>

static int has(const char *list, long length, const char *name) {
    for (long at = 0; at < length; at += strlen(list + at) + 1)
        if (!strcmp(list + at, name)) return 1;
    return 0;
}

int main(void) {
    make_file("file", "");
    char data[256];
    SHOW(setxattr("file", "user.one", "first", 5, 0));
    SHOW(setxattr("file", "user.two", "", 0, 0));
    SHOW(getxattr("file", "user.one", data, sizeof data));
    show_bytes("user.one", data, 5);
    SHOW(getxattr("file", "user.two", data, sizeof data));
    SHOW(getxattr("file", "user.none", data, sizeof data));
    long n = listxattr("file", data, sizeof data);
    SHOW_NUMBER(has(data, n, "user.one"));
    SHOW_NUMBER(has(data, n, "user.two"));
    SHOW(removexattr("file", "user.one"));
    SHOW(removexattr("file", "user.one"));
    n = listxattr("file", data, sizeof data);
    SHOW_NUMBER(has(data, n, "user.one"));
    int fd = MUST(open("file", O_RDWR));
    SHOW(fsetxattr(fd, "user.fd", "x", 1, 0));
    SHOW(fgetxattr(fd, "user.fd", data, sizeof data));
    SHOW(fremovexattr(fd, "user.fd"));
    SHOW_TRUE(flistxattr(fd, data, sizeof data) > 0);
    return 0;
}
