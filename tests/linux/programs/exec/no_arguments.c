// An empty argv becomes one empty argument; a null one too.
#include "show.h"

int main(int argc, char **argv, char **envp) {
    if (argc == 1 && argv[0][0] == 0) {
        say("argc 1, argv[0] empty, argv[1] %s, environment %s", argv[1] ? "set" : "null",
            envp[0] ? envp[0] : "empty");
        if (!envp[0]) return 0;
        SHOW(syscall(SYS_execve, self_path(), NULL, NULL));
        return 1;
    }
    char *none[] = {NULL}, *environment[] = {"A=1", NULL};
    SHOW(syscall(SYS_execve, self_path(), none, environment));
    return 1;
}
