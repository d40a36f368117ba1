// execve hands over argv and envp exactly, empty strings and all, and in order.
#include "show.h"

int main(int argc, char **argv, char **envp) {
    if (argc > 1) {
        for (int i = 1; i < argc; i++) show_bytes("argument", argv[i], strlen(argv[i]));
        for (char **e = envp; *e; e++) show_bytes("environment", *e, strlen(*e));
        SHOW_TRUE(argv[argc] == NULL);
        return 0;
    }
    char *arguments[] = {"zero", "one", "", "with space", "tab\tnewline\n", "\xff\xfe", NULL};
    char *environment[] = {"B=2", "A=1", "=odd", "B=3", "NOTHING=", NULL};
    SHOW(execve(self_path(), arguments, environment));
    return 1;
}
