// A pipe carries bytes in order, keeps no message borders, and ends when the writer closes.
#include "show.h"

int main(void) {
    int ends[2];
    char data[32];
    SHOW(pipe(ends));
    SHOW(write(ends[1], "hello", 5));
    SHOW(write(ends[1], " world", 6));
    SHOW(read(ends[0], data, 3));
    SHOW(read(ends[0], data, sizeof data));
    show_bytes("rest", data, 8);
    SHOW(write(ends[0], "x", 1));
    SHOW(read(ends[1], data, 1));
    SHOW(write(ends[1], "", 0));
    SHOW(write(ends[1], "end", 3));
    SHOW(close(ends[1]));
    SHOW(read(ends[0], data, sizeof data));
    SHOW(read(ends[0], data, sizeof data));
    SHOW(read(ends[0], data, 0));
    struct stat st;
    MUST(fstat(ends[0], &st));
    SHOW_TRUE(S_ISFIFO(st.st_mode));
    say("%o", st.st_mode & 0777);
    SHOW(pipe(bad_pointer()));
    return 0;
}
