// posix_spawn and waitpid: exit codes, signals, no children, WNOHANG.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        if (argv[1][0] == 'k') raise(atoi(argv[1] + 1));
        if (argv[1][0] == 's') sleep_ms(atoi(argv[1] + 1));
        return atoi(argv[1]);
    }
    int status;
    SHOW(waitpid(-1, &status, 0));
    show_child("0", spawn_self("0", NULL));
    show_child("7", spawn_self("7", NULL));
    show_child("255", spawn_self("255", NULL));
    show_child("256", spawn_self("256", NULL));
    show_child("killed", spawn_self("k9", NULL));
    show_child("terminated", spawn_self("k15", NULL));
    pid_t child = spawn_self("s60", NULL);
    SHOW(waitpid(child, &status, WNOHANG));
    SHOW_TRUE(waitpid(child, &status, 0) == child);
    SHOW(waitpid(child, &status, 0));
    SHOW(waitpid(getpid(), &status, 0));
    SHOW(waitpid(-1, &status, 0x8000));
    child = spawn_self("5", NULL);
    SHOW_TRUE(wait4(-1, &status, 0, NULL) == child);
    show_status("wait4", status);
    child = spawn_self("6", NULL);
    SHOW_TRUE(waitpid(0, NULL, 0) == child);
    extern char **environ;
    char *arguments[] = {"x", NULL};
    SHOW_ERROR(posix_spawn(&child, "/no/such/program", NULL, NULL, arguments, environ));
    return 0;
}
