// Ten thousand arguments and a 100 KiB one arrive whole; one above 128 KiB is E2BIG.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 2) {
        unsigned long sum = 0;
        for (int i = 2; i < argc - 1; i++) sum += strtoul(argv[i], NULL, 10);
        SHOW_NUMBER(argc);
        SHOW_NUMBER(sum);
        SHOW_NUMBER(strlen(argv[argc - 1]));
        return 0;
    }
    static char huge[131073], numbers[10000][8], *arguments[10004];
    memset(huge, 'h', 131072);
    arguments[0] = arguments[1] = "x";
    for (int i = 0; i < 10000; i++) {
        snprintf(numbers[i], 8, "%d", i);
        arguments[i + 2] = numbers[i];
    }
    arguments[10002] = huge;
    char *environment[] = {NULL};
    SHOW(execve(self_path(), arguments, environment));
    huge[100000] = 0;
    SHOW(execve(self_path(), arguments, environment));
    return 1;
}
