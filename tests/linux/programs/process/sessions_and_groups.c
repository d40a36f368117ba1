// A child that makes its own group, then its own session.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        SHOW_TRUE(getsid(0) == atoi(argv[1]));
        SHOW_TRUE(setsid() == getpid());
        SHOW_TRUE(getsid(0) == getpid() && getpgid(0) == getpid());
        SHOW(setsid());
        SHOW(setpgid(0, 0));
        SHOW(setpgid(0, 999999999));
        return 0;
    }
    char text[16];
    snprintf(text, sizeof text, "%d", getsid(0));
    show_child("child", spawn_self(text, NULL));
    SHOW(setpgid(999999999, 0));
    SHOW(setpgid(0, -1));
    return 0;
}
