// Loops and chains: 40 links are followed, 41 are not.
#include "show.h"

int main(void) {
    struct stat st;
    MUST(symlink("self", "self"));
    MUST(symlink("pong", "ping"));
    MUST(symlink("ping", "pong"));
    SHOW(stat("self", &st));
    SHOW(stat("ping", &st));
    SHOW(lstat("ping", &st));
    SHOW(open("self", O_RDONLY));
    SHOW(open("self", O_WRONLY | O_CREAT, 0644));
    SHOW(open("self", O_RDONLY | O_NOFOLLOW));
    SHOW(stat("self/x", &st));
    make_file("l0", "end");
    for (int i = 1; i <= 41; i++) {
        char from[8], to[8];
        snprintf(from, sizeof from, "l%d", i);
        snprintf(to, sizeof to, "l%d", i - 1);
        MUST(symlink(to, from));
    }
    SHOW(stat("l40", &st));
    SHOW(stat("l41", &st));
    SHOW(unlink("self"));
    return 0;
}
