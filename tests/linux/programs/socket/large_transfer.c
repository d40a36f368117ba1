// A megabyte through a connection between two threads arrives unharmed.
#include "inet.h"

static int pair[2];

static void *sender(void *argument) {
    unsigned char block[10000];
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 10000; k++) block[k] = (i * 10000 + k) * 7;
        for (long sent = 0; sent < 10000;) sent += MUST(send(pair[0], block + sent, 10000 - sent, 0));
    }
    MUST(shutdown(pair[0], SHUT_WR));
    return argument;
}

int main(void) {
    tcp_pair(pair);
    pthread_t thread = start_thread(sender, NULL);
    unsigned char data[7000];
    long total = 0, wrong = 0, n;
    while ((n = recv(pair[1], data, sizeof data, 0)) > 0)
        for (long k = 0; k < n; k++, total++) wrong += data[k] != (unsigned char)(total * 7);
    pthread_join(thread, NULL);
    say("%ld bytes, %ld wrong, end %ld", total, wrong, n);
    return 0;
}
