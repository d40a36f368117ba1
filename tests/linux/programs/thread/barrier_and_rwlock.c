// Barriers let exactly one go first; read-write locks share and exclude.
#include "show.h"

static pthread_barrier_t barrier;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static volatile int serial, phase_errors, phases[3], shared;

static void *body(void *argument) {
    for (int p = 0; p < 3; p++) {
        __sync_fetch_and_add(&phases[p], 1);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __sync_fetch_and_add(&serial, 1);
        if (phases[p] != 5) __sync_fetch_and_add(&phase_errors, 1);
    }
    for (int i = 0; i < 2000; i++) {
        pthread_rwlock_wrlock(&rw);
        shared++;
        pthread_rwlock_unlock(&rw);
        pthread_rwlock_rdlock(&rw);
        if (shared <= 0) phase_errors++;
        pthread_rwlock_unlock(&rw);
    }
    return argument;
}

int main(void) {
    pthread_t threads[5];
    SHOW_ERROR(pthread_barrier_init(&barrier, NULL, 5));
    for (int i = 0; i < 5; i++) threads[i] = start_thread(body, NULL);
    for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    say("serial %d errors %d shared %d", serial, phase_errors, shared);
    SHOW_ERROR(pthread_rwlock_rdlock(&rw));
    SHOW_ERROR(pthread_rwlock_tryrdlock(&rw));
    SHOW_ERROR(pthread_rwlock_trywrlock(&rw));
    return 0;
}
