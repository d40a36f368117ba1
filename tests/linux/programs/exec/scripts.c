// #! scripts: the interpreter's one argument, the script's path, then the arguments; scripts of scripts.
#include "show.h"

static void make_script(const char *path, const char *line) {
    make_file(path, line);
    MUST(chmod(path, 0755));
}

static void run(const char *path) {
    extern char **environ;
    char *arguments[] = {"zero", "a", "b c", NULL};
    pid_t child;
    int error = posix_spawn(&child, path, NULL, NULL, arguments, environ);
    if (error) say("%s: %s", path, errno_name(error));
    else show_child(path, child);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        SHOW_TRUE(!strcmp(argv[0], self_path()) || strchr(argv[0], '/') != NULL);
        for (int i = 1; i < argc; i++) say("argument %d: %s", i, argv[i]);
        return 3;
    }
    char line[PATH_MAX + 64];
    snprintf(line, sizeof line, "#!%s\nrest\n", self_path());
    make_script("plain", line);
    snprintf(line, sizeof line, "#!%s one argument with spaces \nrest\n", self_path());
    make_script("argument", line);
    snprintf(line, sizeof line, "#! \t %s\t-x", self_path());
    make_script("blanks", line);
    make_script("nested", "#!./argument outer\n");
    make_script("deeper", "#!./nested deep\n");
    make_script("self", "#!./self\n");
    run("./plain");
    run("./argument");
    run("./blanks");
    run("./nested");
    run("./deeper");
    run("./self");
    return 0;
}
