// copy_file_range: with and without offsets, at the end of the file, onto itself, errors.
#include "show.h"

static long copy(int in, int64_t *in_at, int out, int64_t *out_at, size_t length, int flags) {
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}

int main(void) {
    make_file("from", "0123456789");
    int in = MUST(open("from", O_RDWR)), out = MUST(open("to", O_RDWR | O_CREAT, 0644)), ends[2];
    SHOW(copy(in, NULL, out, NULL, 4, 0));
    SHOW(lseek(in, 0, SEEK_CUR));
    SHOW(lseek(out, 0, SEEK_CUR));
    int64_t from = 8, to = 10;
    SHOW(copy(in, &from, out, &to, 100, 0));
    SHOW_NUMBER(from);
    SHOW_NUMBER(to);
    SHOW(copy(in, &from, out, &to, 100, 0));
    show_content("to");
    SHOW(copy(in, NULL, out, NULL, 0, 0));
    SHOW(copy(in, NULL, out, NULL, 1, 1));
    from = 0, to = 2;
    SHOW(copy(in, &from, in, &to, 4, 0));
    to = 5;
    SHOW(copy(in, &from, in, &to, 4, 0));
    show_content("from");
    MUST(pipe(ends));
    SHOW(copy(in, NULL, ends[1], NULL, 4, 0));
    SHOW(copy(-1, NULL, out, NULL, 4, 0));
    SHOW(copy(in, NULL, MUST(open("to", O_RDONLY)), NULL, 4, 0));
    SHOW(copy(in, NULL, MUST(open(".", O_RDONLY)), NULL, 4, 0));
    return 0;
}
