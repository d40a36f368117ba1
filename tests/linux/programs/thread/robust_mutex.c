// A robust mutex whose owner died: EOWNERDEAD, consistent, ENOTRECOVERABLE.
#include "show.h"

static pthread_mutex_t m;

static void *die_with_it(void *argument) {
    SHOW_ERROR(pthread_mutex_lock(&m));
    return argument;
}

int main(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    SHOW_ERROR(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    pthread_mutex_init(&m, &a);
    pthread_join(start_thread(die_with_it, NULL), NULL);
    SHOW_ERROR(pthread_mutex_lock(&m));
    SHOW_ERROR(pthread_mutex_consistent(&m));
    SHOW_ERROR(pthread_mutex_unlock(&m));
    SHOW_ERROR(pthread_mutex_lock(&m));
    SHOW_ERROR(pthread_mutex_unlock(&m));
    pthread_join(start_thread(die_with_it, NULL), NULL);
    SHOW_ERROR(pthread_mutex_lock(&m));
    SHOW_ERROR(pthread_mutex_unlock(&m));
    SHOW_ERROR(pthread_mutex_lock(&m));
    return 0;
}
