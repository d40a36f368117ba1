// atexit order, _exit without them, and what stdio flushes.
#include "show.h"

static void first(void) {
    say("first");
}

static void second(void) {
    say("second");
}

int main(int argc, char **argv) {
    if (argc > 1) {
        atexit(first);
        atexit(second);
        printf("buffered ");
        if (argv[1][0] == '_') _exit(2);
        if (argv[1][0] == 'q') quick_exit(3);
        exit(300);
    }
    show_child("exit", spawn_self("exit", NULL));
    show_child("_exit", spawn_self("_exit", NULL));
    show_child("quick_exit", spawn_self("quick", NULL));
    return 0;
}
