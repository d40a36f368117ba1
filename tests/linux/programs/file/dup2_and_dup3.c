// dup2 onto itself, onto a used number, onto numbers out of range; dup3's flags.
#include "show.h"
#include <sys/resource.h>

int main(void) {
    make_file("a", "A");
    make_file("b", "B");
    int a = MUST(open("a", O_RDONLY)), b = MUST(open("b", O_RDONLY | O_CLOEXEC));
    SHOW_TRUE(dup2(a, a) == a);
    SHOW_TRUE(dup2(b, b) == b);
    SHOW(fcntl(b, F_GETFD));
    SHOW(dup3(a, a, 0));
    SHOW(dup3(a, 77, 0x1));
    SHOW(dup3(a, 77, O_CLOEXEC));
    SHOW(fcntl(77, F_GETFD));
    SHOW(dup2(b, 77));
    SHOW(fcntl(77, F_GETFD));
    char c;
    SHOW(read(77, &c, 1));
    say("%c", c);
    SHOW(dup2(a, -1));
    SHOW(dup2(-1, 5));
    SHOW(dup2(99, 99));
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    SHOW(dup2(a, (int)limit.rlim_cur));
    SHOW(fcntl(a, F_DUPFD, (int)limit.rlim_cur));
    SHOW(fcntl(a, F_DUPFD, -1));
    return 0;
}
