// How much fits: 65536 by default, F_GETPIPE_SZ and F_SETPIPE_SZ, EAGAIN when full, partial writes.
#include "show.h"
#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#define F_GETPIPE_SZ 1032
#endif

int main(void) {
    int ends[2];
    static char data[200000];
    MUST(pipe2(ends, O_NONBLOCK));
    SHOW(fcntl(ends[0], F_GETPIPE_SZ));
    SHOW(write(ends[1], data, sizeof data));
    SHOW(write(ends[1], data, 1));
    SHOW(read(ends[0], data, 4096));
    SHOW(write(ends[1], data, 4096));
    SHOW(write(ends[1], data, 4096));
    SHOW(fcntl(ends[0], F_SETPIPE_SZ, 4096));
    SHOW(fcntl(ends[0], F_SETPIPE_SZ, 100000));
    SHOW(fcntl(ends[0], F_GETPIPE_SZ));
    SHOW(write(ends[1], data, sizeof data));
    SHOW(read(ends[0], data, sizeof data));
    SHOW(fcntl(ends[1], F_SETPIPE_SZ, 1));
    SHOW(write(ends[1], data, sizeof data));
    SHOW(fcntl(0, F_GETPIPE_SZ));
    return 0;
}
