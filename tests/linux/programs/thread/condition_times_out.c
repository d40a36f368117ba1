// pthread_cond_timedwait on both clocks: ETIMEDOUT, not early.
#include "show.h"

static void wait_on(clockid_t clock) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, clock);
    pthread_cond_init(&condition, &attributes);
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += 25000000;
    if (t.tv_nsec > 999999999) t.tv_sec++, t.tv_nsec -= 1000000000;
    long start = now_ms();
    pthread_mutex_lock(&lock);
    SHOW_ERROR(pthread_cond_timedwait(&condition, &lock, &t));
    SHOW_TRUE(now_ms() - start >= 24);
    SHOW_ERROR(pthread_mutex_unlock(&lock));
}

int main(void) {
    wait_on(CLOCK_REALTIME);
    wait_on(CLOCK_MONOTONIC);
    return 0;
}
