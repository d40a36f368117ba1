// Parent and child linked to the same addresses, each with threads that compute and that wait for each other: locks and
// conditions lie at the same addresses and are still two processes'.
//: flags -no-pie -fno-pie
#include "show.h"

#define THREADS 3
#define ROUNDS 300

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;
static long rounds[THREADS], sums[THREADS];

static void *take_turns(void *argument) {
    long self = (long)argument;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        while (turn != self) pthread_cond_wait(&turned, &lock);
        turn = (turn + 1) % THREADS;
        rounds[self]++;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&lock);
        // Longer than a slice over all rounds, without a system call.
        for (volatile int k = 0; k < 20000; k++) sums[self] += k & 1;
    }
    return NULL;
}

static int work(void) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) MUST(-pthread_create(&threads[i], NULL, take_turns, (void *)i));
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    int right = 0;
    for (int i = 0; i < THREADS; i++) right += rounds[i] == ROUNDS && sums[i] == ROUNDS * 10000L;
    return right;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return work();
    pid_t first = spawn_self("x", NULL), second = spawn_self("y", NULL);
    say("parent: %d threads right", work());
    show_child("first child", first);
    show_child("second child", second);
    return 0;
}
