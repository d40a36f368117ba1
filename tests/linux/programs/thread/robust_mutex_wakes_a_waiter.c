// A thread asleep on a robust mutex is woken when the owner dies without unlocking.
#include "show.h"

static pthread_mutex_t m;
static volatile int locked;

static void *die_with_it(void *argument) {
    pthread_mutex_lock(&m);
    locked = 1;
    sleep_ms(40);
    return argument;
}

int main(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&m, &a);
    pthread_t thread = start_thread(die_with_it, NULL);
    while (!locked) sleep_ms(1);
    SHOW_ERROR(pthread_mutex_lock(&m));
    pthread_join(thread, NULL);
    return 0;
}
