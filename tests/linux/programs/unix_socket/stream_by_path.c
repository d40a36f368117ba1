// A UNIX stream socket bound to a path: the file, connecting, addresses, refusals.
#include "show.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "socket"}, got;
    socklen_t length = sizeof got;
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0)), client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(connect(client, (struct sockaddr *)&a, sizeof a));
    SHOW(bind(listener, (struct sockaddr *)&a, sizeof a));
    show_path("socket");
    SHOW(connect(client, (struct sockaddr *)&a, sizeof a));
    SHOW(listen(listener, 2));
    SHOW(connect(client, (struct sockaddr *)&a, sizeof a));
    int server = SHOW_OK(accept(listener, (struct sockaddr *)&got, &length));
    SHOW_NUMBER(length);
    length = sizeof got;
    SHOW(getpeername(client, (struct sockaddr *)&got, &length));
    say("%d %s %d", got.sun_family, got.sun_path, (int)length);
    length = sizeof got;
    SHOW(getsockname(client, (struct sockaddr *)&got, &length));
    SHOW_NUMBER(length);
    char data[8];
    SHOW(write(client, "abc", 3));
    SHOW(read(server, data, 8));
    SHOW(bind(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
    SHOW(connect(client, (struct sockaddr *)&a, sizeof a));
    MUST(close(listener));
    SHOW(connect(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
    SHOW(write(client, "d", 1));
    SHOW(unlink("socket"));
    SHOW(connect(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
    make_file("file", "");
    strcpy(a.sun_path, "file");
    SHOW(connect(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
    strcpy(a.sun_path, "missing/x");
    SHOW(bind(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&a, sizeof a));
    return 0;
}
