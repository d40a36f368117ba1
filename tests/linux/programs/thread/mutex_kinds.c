// Recursive, error-checking and timed mutexes.
#include "show.h"

static pthread_mutex_t m;

static void *try(void *argument) {
    SHOW_ERROR(pthread_mutex_trylock(&m));
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec > 999999999) t.tv_sec++, t.tv_nsec -= 1000000000;
    long start = now_ms();
    SHOW_ERROR(pthread_mutex_timedlock(&m, &t));
    SHOW_TRUE(now_ms() - start >= 18);
    SHOW_ERROR(pthread_mutex_unlock(&m));
    return argument;
}

int main(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m, &a);
    SHOW_ERROR(pthread_mutex_lock(&m));
    SHOW_ERROR(pthread_mutex_lock(&m));
    SHOW_ERROR(pthread_mutex_unlock(&m));
    pthread_join(start_thread(try, NULL), NULL);
    SHOW_ERROR(pthread_mutex_unlock(&m));
    SHOW_ERROR(pthread_mutex_unlock(&m));
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&m, &a);
    SHOW_ERROR(pthread_mutex_lock(&m));
    SHOW_ERROR(pthread_mutex_lock(&m));
    pthread_join(start_thread(try, NULL), NULL);
    SHOW_ERROR(pthread_mutex_unlock(&m));
    return 0;
}
