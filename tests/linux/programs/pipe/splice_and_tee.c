// splice between a file and a pipe, tee between pipes.
#include "show.h"

int main(void) {
    make_file("file", "0123456789");
    int in = MUST(open("file", O_RDONLY)), out = MUST(open("out", O_RDWR | O_CREAT, 0644)), a[2], b[2];
    MUST(pipe(a));
    MUST(pipe2(b, O_NONBLOCK));
    loff_t at = 2;
    SHOW(splice(in, &at, a[1], NULL, 5, 0));
    SHOW_NUMBER(at);
    SHOW(tee(a[0], b[1], 3, 0));
    SHOW(splice(a[0], NULL, out, NULL, 100, 0));
    char data[16];
    SHOW(read(b[0], data, 16));
    show_bytes("teed", data, 3);
    show_content("out");
    SHOW(splice(in, NULL, out, NULL, 5, 0));
    SHOW(splice(in, NULL, a[1], &at, 5, 0));
    SHOW(splice(b[0], NULL, out, NULL, 5, SPLICE_F_NONBLOCK));
    SHOW(tee(in, b[1], 3, 0));
    struct iovec v = {"vector", 6};
    SHOW(vmsplice(a[1], &v, 1, 0));
    SHOW(read(a[0], data, 16));
    return 0;
}
