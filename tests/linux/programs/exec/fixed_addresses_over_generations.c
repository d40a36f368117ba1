// Three generations linked to the same addresses, all alive: each keeps its own data, also when a child replaces itself.
//: flags -no-pie -fno-pie
#include "show.h"

static char table[300000];
static int generation;

static void fill(void) {
    for (unsigned i = 0; i < sizeof table; i++) table[i] = i * (generation + 3);
}

static long wrong(void) {
    long count = 0;
    for (unsigned i = 0; i < sizeof table; i++) count += table[i] != (char)(i * (generation + 3));
    return count;
}

int main(int argc, char **argv) {
    generation = argc > 1 ? atoi(argv[1]) : 0;
    fill();
    if (generation < 3) {
        char next[16];
        snprintf(next, sizeof next, "%d", generation + 1);
        pid_t first = spawn_self(next, "again");
        pid_t second = spawn_self("9", NULL);
        long meanwhile = wrong();
        show_child("first", first);
        show_child("second", second);
        say("generation %d: %ld wrong while children ran", generation, meanwhile);
    } else if (argc > 2 && argv[2][0] == 'a') {
        char *arguments[] = {"x", argv[1], "replaced", NULL}, *environment[] = {NULL};
        execve(self_path(), arguments, environment);
        return 99;
    }
    if (generation != 9) say("generation %d: %ld wrong", generation, wrong());
    return generation + (wrong() != 0) * 50;
}
