// A producer and a consumer over a mutex and two condition variables.
#include "show.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static int slots[4], count, head;

static void *producer(void *argument) {
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&lock);
        while (count == 4) pthread_cond_wait(&emptied, &lock);
        slots[(head + count++) % 4] = i;
        pthread_cond_signal(&filled);
        pthread_mutex_unlock(&lock);
    }
    return argument;
}

int main(void) {
    pthread_t thread = start_thread(producer, NULL);
    int in_order = 0;
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&lock);
        while (count == 0) pthread_cond_wait(&filled, &lock);
        in_order += slots[head] == i;
        head = (head + 1) % 4;
        count--;
        pthread_cond_signal(&emptied);
        pthread_mutex_unlock(&lock);
    }
    pthread_join(thread, NULL);
    SHOW_NUMBER(in_order);
    return 0;
}
