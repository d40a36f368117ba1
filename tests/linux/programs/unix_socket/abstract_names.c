// Abstract names and autobind: no file, exact length counts, freed at close.
#include "show.h"
#include <sys/socket.h>
#include <sys/un.h>

static int with_name(int call(int, const struct sockaddr *, socklen_t), int fd, const char *name, int extra) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "casemate-%d-%s", getpid(), name);
    return call(fd, (struct sockaddr *)&a,
                offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a.sun_path + 1) + extra);
}

static int stream(void) {
    return MUST(socket(AF_UNIX, SOCK_STREAM, 0));
}

int main(void) {
    int listener = stream();
    SHOW(with_name(bind, listener, "one", 0));
    SHOW(with_name(bind, stream(), "one", 0));
    SHOW(with_name(bind, stream(), "one", 1));
    SHOW(listen(listener, 1));
    SHOW(with_name(connect, stream(), "one", 0));
    SHOW(with_name(connect, stream(), "other", 0));
    struct sockaddr_un got;
    socklen_t length = sizeof got;
    SHOW(getsockname(listener, (struct sockaddr *)&got, &length));
    SHOW_TRUE(got.sun_path[0] == 0 && !strncmp(got.sun_path + 1, "casemate-", 9));
    SHOW(close(listener));
    SHOW(with_name(bind, stream(), "one", 0));
    int automatic = stream();
    got.sun_family = AF_UNIX;
    SHOW(bind(automatic, (struct sockaddr *)&got, sizeof(sa_family_t)));
    length = sizeof got;
    SHOW(getsockname(automatic, (struct sockaddr *)&got, &length));
    SHOW_NUMBER(length);
    SHOW_NUMBER(got.sun_path[0]);
    return 0;
}
