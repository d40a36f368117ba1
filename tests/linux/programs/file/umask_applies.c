// umask cuts what open, mkdir and mknod make, and returns the old one.
#include "show.h"

int main(void) {
    MUST(umask(022));
    SHOW_NUMBER(umask(077));
    MUST(open("a", O_WRONLY | O_CREAT, 0666));
    MUST(mkdir("b", 0777));
    SHOW_NUMBER(umask(01777 | 0170000));
    MUST(open("c", O_WRONLY | O_CREAT, 0666));
    SHOW_NUMBER(umask(0));
    MUST(open("d", O_WRONLY | O_CREAT, 07777));
    MUST(mkdir("e", 07777));
    MUST(mkfifo("f", 0666));
    umask(027);
    MUST(mkfifo("g", 0666));
    for (char name[2] = "a"; name[0] <= 'g'; name[0]++) show_path(name);
    return 0;
}
