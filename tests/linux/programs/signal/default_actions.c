// What ends a program and what does not, by child status.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        int number = atoi(argv[1]);
        raise(number);
        return 7;
    }
    int numbers[] = {SIGHUP,    SIGINT,  SIGQUIT, SIGUSR1, SIGALRM,  SIGTERM, SIGPIPE, SIGPOLL,
                     SIGVTALRM, SIGKILL, SIGCHLD, SIGURG,  SIGWINCH, SIGCONT, SIGSYS};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", numbers[i]);
        show_child(text, spawn_self(text, NULL));
    }
    return 0;
}
