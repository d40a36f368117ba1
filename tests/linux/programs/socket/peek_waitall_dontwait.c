// MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, and zero-length transfers on TCP.
#include "inet.h"

static int pair[2];

static void *rest(void *argument) {
    sleep_ms(20);
    MUST(send(pair[0], "world", 5, 0));
    return argument;
}

int main(void) {
    char data[16];
    tcp_pair(pair);
    SHOW(recv(pair[1], data, 5, MSG_DONTWAIT));
    MUST(send(pair[0], "hello", 5, 0));
    wait_readable(pair[1]);
    SHOW(recv(pair[1], data, 3, MSG_PEEK));
    SHOW(recv(pair[1], data, 16, MSG_PEEK | MSG_DONTWAIT));
    pthread_t thread = start_thread(rest, NULL);
    SHOW(recv(pair[1], data, 10, MSG_WAITALL));
    show_bytes("data", data, 10);
    pthread_join(thread, NULL);
    SHOW(send(pair[0], "", 0, 0));
    SHOW(recv(pair[1], data, 0, MSG_DONTWAIT));
    SHOW(recv(pair[1], data, 1, MSG_DONTWAIT));
    SHOW(send(pair[0], bad_pointer(), 5, 0));
    return 0;
}
