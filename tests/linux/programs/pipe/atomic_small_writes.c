// A non-blocking write of at most PIPE_BUF bytes is all or nothing.
#include "show.h"

int main(void) {
    int ends[2];
    static char data[70000];
    MUST(pipe2(ends, O_NONBLOCK));
    SHOW(write(ends[1], data, 65536 - 4096 + 1));
    SHOW(write(ends[1], data, 4096));
    SHOW(read(ends[0], data, sizeof data));
    SHOW(read(ends[0], data, 1));
    for (int i = 0; i < 15; i++) MUST(write(ends[1], data, 4096));
    SHOW(write(ends[1], data, 4000));
    SHOW(write(ends[1], data, 97));
    SHOW(write(ends[1], data, 96));
    SHOW(write(ends[1], data, 1));
    return 0;
}
