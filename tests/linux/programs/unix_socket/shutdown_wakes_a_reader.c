// shutdown and close of the peer wake a thread that sleeps in recv.
#include "show.h"
#include <sys/socket.h>

static int pair[2];

static void *reader(void *argument) {
    char c;
    return (void *)(recv(pair[0], &c, 1, 0) == 0 ? argument : NULL);
}

static void try(int (*end)(void)) {
    void *result;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pthread_t thread = start_thread(reader, (void *)1);
    sleep_ms(25);
    SHOW(end());
    pthread_join(thread, &result);
    SHOW_TRUE(result != NULL);
}

static int shut_peer(void) {
    return shutdown(pair[1], SHUT_WR);
}

static int shut_own(void) {
    return shutdown(pair[0], SHUT_RD);
}

static int close_peer(void) {
    return close(pair[1]);
}

int main(void) {
    try(shut_peer);
    try(shut_own);
    try(close_peer);
    return 0;
}
