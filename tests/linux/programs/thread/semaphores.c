// POSIX semaphores between threads: wait, try, timed.
#include "show.h"
#include <semaphore.h>

static sem_t s, done;

static void *body(void *argument) {
    for (int i = 0; i < 1000; i++) {
        sem_wait(&s);
        sem_post(&done);
    }
    return argument;
}

int main(void) {
    SHOW(sem_init(&s, 0, 0));
    sem_init(&done, 0, 0);
    SHOW(sem_trywait(&s));
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    SHOW(sem_timedwait(&s, &t));
    pthread_t thread = start_thread(body, NULL);
    for (int i = 0; i < 1000; i++) {
        sem_post(&s);
        sem_wait(&done);
    }
    pthread_join(thread, NULL);
    int value;
    SHOW(sem_getvalue(&s, &value));
    SHOW_NUMBER(value);
    return 0;
}
