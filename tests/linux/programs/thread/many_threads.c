// Two hundred threads, one after the other and eighty at once.
#include "show.h"

static volatile int ran;

static void *body(void *argument) {
    __sync_fetch_and_add(&ran, 1);
    return argument;
}

int main(void) {
    for (int i = 0; i < 200; i++) pthread_join(start_thread(body, NULL), NULL);
    SHOW_NUMBER(ran);
    pthread_t threads[80];
    for (int i = 0; i < 80; i++) threads[i] = start_thread(body, NULL);
    for (int i = 0; i < 80; i++) pthread_join(threads[i], NULL);
    SHOW_NUMBER(ran);
    return 0;
}
