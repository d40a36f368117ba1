// A thread's stack: size as asked, an own stack used, the guard faults.
#include "show.h"

static char own[262144] __attribute__((aligned(4096)));

static void *body(void *argument) {
    char local;
    return &local >= own && &local < own + sizeof own ? argument : NULL;
}

static void *big(void *argument) {
    volatile char frame[900000];
    frame[0] = 1;
    frame[sizeof frame - 1] = 2;
    return frame[0] + frame[sizeof frame - 1] == 3 ? argument : NULL;
}

int main(void) {
    pthread_attr_t a;
    pthread_t thread;
    void *result;
    pthread_attr_init(&a);
    SHOW_ERROR(pthread_attr_setstack(&a, own, sizeof own));
    SHOW_ERROR(pthread_create(&thread, &a, body, (void *)1));
    pthread_join(thread, &result);
    SHOW_TRUE(result != NULL);
    pthread_attr_init(&a);
    SHOW_ERROR(pthread_attr_setstacksize(&a, 1 << 20));
    SHOW_ERROR(pthread_create(&thread, &a, big, (void *)1));
    pthread_join(thread, &result);
    SHOW_TRUE(result != NULL);
    SHOW_ERROR(pthread_attr_setstacksize(&a, 100));
    return 0;
}
