// sendfile to a file, a pipe and a socket, with and without an offset.
#include "show.h"
#include <sys/sendfile.h>
#include <sys/socket.h>

int main(void) {
    make_file("from", "0123456789");
    int in = MUST(open("from", O_RDONLY)), out = MUST(open("to", O_RDWR | O_CREAT, 0644)), ends[2], pair[2];
    SHOW(sendfile(out, in, NULL, 4));
    SHOW(lseek(in, 0, SEEK_CUR));
    off_t at = 6;
    SHOW(sendfile(out, in, &at, 100));
    SHOW_NUMBER(at);
    SHOW(lseek(in, 0, SEEK_CUR));
    show_content("to");
    MUST(pipe(ends));
    char data[16];
    at = 0;
    SHOW(sendfile(ends[1], in, &at, 3));
    SHOW(read(ends[0], data, sizeof data));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SHOW(sendfile(pair[0], in, &at, 3));
    SHOW(read(pair[1], data, sizeof data));
    show_bytes("data", data, 3);
    SHOW(sendfile(out, in, NULL, 0));
    at = -1;
    SHOW(sendfile(out, in, &at, 1));
    SHOW(sendfile(in, out, NULL, 1));
    SHOW(sendfile(out, -1, NULL, 1));
    return 0;
}
