// Socket options: round trips, types, what cannot be set.
#include "inet.h"
#include <netinet/tcp.h>

static int get(int s, int level, int name) {
    int v = -1;
    socklen_t length = sizeof v;
    return getsockopt(s, level, name, &v, &length) < 0 ? -errno : v;
}

static int set(int s, int level, int name, int v) {
    return setsockopt(s, level, name, &v, sizeof v);
}

int main(void) {
    int s = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_TYPE));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_DOMAIN));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_PROTOCOL));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_ACCEPTCONN));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_REUSEADDR));
    SHOW(set(s, SOL_SOCKET, SO_REUSEADDR, 1));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_REUSEADDR));
    SHOW(set(s, SOL_SOCKET, SO_REUSEPORT, 1));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_REUSEPORT));
    SHOW(set(s, SOL_SOCKET, SO_KEEPALIVE, 5));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_KEEPALIVE));
    SHOW(set(s, IPPROTO_TCP, TCP_NODELAY, 1));
    SHOW_NUMBER(get(s, IPPROTO_TCP, TCP_NODELAY));
    SHOW(set(s, IPPROTO_TCP, TCP_KEEPIDLE, 33));
    SHOW_NUMBER(get(s, IPPROTO_TCP, TCP_KEEPIDLE));
    SHOW(set(s, SOL_SOCKET, SO_SNDBUF, 20000));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_SNDBUF));
    SHOW_TRUE(get(s, SOL_SOCKET, SO_RCVBUF) > 1000);
    SHOW(set(s, SOL_SOCKET, SO_TYPE, 1));
    SHOW(set(s, SOL_SOCKET, 9999, 1));
    SHOW_NUMBER(get(s, SOL_SOCKET, 9999));
    SHOW(set(s, 9999, 1, 1));
    char one = 1;
    SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 1));
    SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, bad_pointer(), 4));
    SHOW(set(0, SOL_SOCKET, SO_REUSEADDR, 1));
    struct linger l = {1, 5}, got = {0, 0};
    socklen_t length = sizeof got;
    SHOW(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof l));
    SHOW(getsockopt(s, SOL_SOCKET, SO_LINGER, &got, &length));
    say("%d %d", got.l_onoff, got.l_linger);
    MUST(listen(s, 5));
    SHOW_NUMBER(get(s, SOL_SOCKET, SO_ACCEPTCONN));
    return 0;
}
