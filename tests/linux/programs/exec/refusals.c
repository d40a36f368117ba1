// execve of what is missing, not executable, not a program, a directory, a bad pointer.
#include "show.h"

static long exec(const char *path) {
    char *arguments[] = {(char *)path, NULL}, *environment[] = {NULL};
    return syscall(SYS_execve, path, arguments, environment);
}

int main(void) {
    make_file("not-executable", "#!/bin/true\n");
    make_file("garbage", "this is no program\n");
    make_file("empty", "");
    make_file("short-elf", "\177ELF");
    make_file("no-interpreter", "#!/no/such/interpreter\n");
    make_file("blank-interpreter", "#!   \n");
    make_file("directory-interpreter", "#!/\n");
    const char *executables[] = {
        "garbage", "empty", "short-elf", "no-interpreter", "blank-interpreter", "directory-interpreter"};
    for (int i = 0; i < 6; i++) MUST(chmod(executables[i], 0755));
    MUST(symlink("loop", "loop"));
    SHOW(exec("missing"));
    SHOW(exec("not-executable"));
    SHOW(exec("garbage"));
    SHOW(exec("empty"));
    SHOW(exec("short-elf"));
    SHOW(exec("no-interpreter"));
    SHOW(exec("blank-interpreter"));
    SHOW(exec("directory-interpreter"));
    SHOW(exec("."));
    SHOW(exec("garbage/x"));
    SHOW(exec("loop"));
    SHOW(exec(""));
    SHOW(exec(bad_pointer()));
    SHOW(syscall(SYS_execve, "garbage", bad_pointer(), NULL));
    SHOW(syscall(SYS_execve, self_path(), bad_pointer(), NULL));
    return 0;
}
