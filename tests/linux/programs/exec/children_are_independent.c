// What a child changes of its descriptors, directory, umask and memory is not seen by the parent.
#include "show.h"

static int value = 5;

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        value = 6;
        MUST(chdir("/"));
        umask(0);
        MUST(close(1));
        MUST(lseek(50, 3, SEEK_SET));
        MUST(fcntl(50, F_SETFD, FD_CLOEXEC));
        return value;
    }
    char here[PATH_MAX], there[PATH_MAX];
    make_file("file", "0123456789");
    MUST(dup2(MUST(open("file", O_RDONLY)), 50));
    MUST(syscall(SYS_getcwd, here, sizeof here));
    umask(022);
    show_child("child", spawn_self("x", NULL));
    SHOW_NUMBER(value);
    MUST(syscall(SYS_getcwd, there, sizeof there));
    SHOW_TRUE(!strcmp(here, there));
    SHOW_NUMBER(umask(0));
    SHOW(lseek(50, 0, SEEK_CUR));
    SHOW(fcntl(50, F_GETFD));
    return 0;
}
