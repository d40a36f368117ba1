// RLIMIT_NOFILE bounds the numbers that open, dup, pipe and socketpair may hand out.
#include "show.h"
#include <sys/resource.h>
#include <sys/socket.h>

int main(void) {
    make_file("file", "");
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 20;
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    int last = -1, fd;
    while ((fd = open("file", O_RDONLY)) >= 0) last = fd;
    say("%s", errno_name(errno));
    SHOW_NUMBER(last);
    int pair[2];
    SHOW(dup(0));
    SHOW(pipe(pair));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SHOW(dup2(0, 20));
    SHOW(dup2(0, 19));
    MUST(close(10));
    SHOW(pipe(pair));
    SHOW(open("file", O_RDONLY));
    return 0;
}
