// ELF files of the wrong class, machine, type, or with a broken program header.
#include "show.h"

static void try(const char *what, int offset, unsigned char value) {
    static char data[4096];
    int in = MUST(open(self_path(), O_RDONLY)),
        out = MUST(open("program", O_WRONLY | O_CREAT | O_TRUNC, 0755));
    long n;
    for (long total = 0; (n = MUST(read(in, data, sizeof data))) > 0; total += n) {
        if (offset >= total && offset < total + n) data[offset - total] = value;
        MUST(write(out, data, n));
    }
    MUST(close(in));
    MUST(close(out));
    char *arguments[] = {"program", "child", NULL}, *environment[] = {NULL};
    long r = syscall(SYS_execve, "program", arguments, environment);
    say("%s: %ld %s", what, r, errno_name(errno));
    MUST(unlink("program"));
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        say("the unharmed copy runs");
        return 0;
    }
    try("magic", 1, 'X');
    try("machine", 18, 3);
    try("type", 16, 1);
    try("type core", 16, 4);
    try("program header size", 54, 55);
    try("no program headers", 56, 0);
    try("unharmed", 0, 0x7f);
    return 1;
}
