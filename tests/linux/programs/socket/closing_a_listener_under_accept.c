// shutdown of a listening socket wakes a thread in accept.
#include "inet.h"

static int listener;
static int error;

static void *acceptor(void *argument) {
    error = accept(listener, NULL, NULL) < 0 ? errno : 0;
    return argument;
}

int main(void) {
    uint16_t port;
    listener = tcp_listener(&port);
    pthread_t thread = start_thread(acceptor, NULL);
    sleep_ms(30);
    SHOW(shutdown(listener, SHUT_RDWR));
    pthread_join(thread, NULL);
    say("%s", errno_name(error));
    return 0;
}
