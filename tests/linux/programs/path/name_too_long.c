// The limits: 255 bytes for a name, 4096 with the NUL for a path.
#include "show.h"

int main(void) {
    char name[300], path[5000];
    struct stat st;
    memset(name, 'n', sizeof name);
    name[255] = 0;
    SHOW(mkdir(name, 0755));
    name[255] = 'n', name[256] = 0;
    SHOW(mkdir(name, 0755));
    SHOW(stat(name, &st));
    SHOW(open(name, O_RDONLY));
    memset(path, '/', sizeof path);
    path[4094] = '.', path[4095] = 0;
    SHOW(stat(path, &st));
    path[4094] = '/', path[4095] = '.', path[4096] = 0;
    SHOW(stat(path, &st));
    SHOW(access(path, F_OK));
    SHOW(chdir(path));
    SHOW(symlink(path, "link"));
    path[4095] = 0;
    SHOW(symlink(path, "link"));
    SHOW(stat("link", &st));
    return 0;
}
