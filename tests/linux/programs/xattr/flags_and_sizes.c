// XATTR_CREATE, XATTR_REPLACE, size queries, short buffers, bad names.
#include "show.h"
#include <sys/xattr.h>

int main(void) {
    make_file("file", "");
    char data[300], name[300];
    SHOW(setxattr("file", "user.a", "12345", 5, XATTR_REPLACE));
    SHOW(setxattr("file", "user.a", "12345", 5, XATTR_CREATE));
    SHOW(setxattr("file", "user.a", "12345", 5, XATTR_CREATE));
    SHOW(setxattr("file", "user.a", "xyz", 3, XATTR_REPLACE));
    SHOW(setxattr("file", "user.a", "xyz", 3, 8));
    SHOW(getxattr("file", "user.a", NULL, 0));
    SHOW(getxattr("file", "user.a", data, 2));
    SHOW_TRUE(listxattr("file", NULL, 0) >= 7);
    SHOW(listxattr("file", data, 3));
    SHOW(setxattr("file", "nonamespace", "x", 1, 0));
    SHOW(setxattr("file", "user.", "x", 1, 0));
    SHOW(setxattr("file", "", "x", 1, 0));
    memset(name, 'n', sizeof name);
    memcpy(name, "user.", 5);
    name[255] = 0;
    SHOW(setxattr("file", name, "x", 1, 0));
    name[255] = 'n', name[256] = 0;
    SHOW(setxattr("file", name, "x", 1, 0));
    static char huge[65537];
    SHOW(setxattr("file", "user.b", huge, sizeof huge, 0));
    SHOW(setxattr("file", "user.b", bad_pointer(), 5, 0));
    SHOW(getxattr("file", "user.a", bad_pointer(), 5));
    SHOW(setxattr("missing", "user.a", "x", 1, 0));
    SHOW(fgetxattr(-1, "user.a", data, 5));
    return 0;
}
