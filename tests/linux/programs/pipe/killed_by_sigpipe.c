// A program that does not expect SIGPIPE dies of it.
#include "show.h"

int main(void) {
    int ends[2];
    MUST(pipe(ends));
    MUST(close(ends[0]));
    say("before");
    SHOW(write(ends[1], "x", 1));
    say("not reached");
    return 0;
}
