// Thread-specific data with destructors, pthread_once, and __thread variables.
#include "show.h"

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static volatile int destroyed, initialised;
static __thread int local = 7;

static void destroy(void *value) {
    destroyed += (int)(intptr_t)value;
}

static void initialise(void) {
    initialised++;
    pthread_key_create(&key, destroy);
}

static void *body(void *argument) {
    pthread_once(&once, initialise);
    pthread_setspecific(key, argument);
    local += (int)(intptr_t)argument;
    return (void *)(intptr_t)local;
}

int main(void) {
    for (intptr_t i = 1; i <= 4; i++) {
        void *result;
        pthread_join(start_thread(body, (void *)i), &result);
        SHOW_NUMBER(result);
    }
    SHOW_NUMBER(local);
    SHOW_NUMBER(destroyed);
    SHOW_NUMBER(initialised);
    return 0;
}
