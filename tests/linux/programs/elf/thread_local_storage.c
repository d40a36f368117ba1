// Initialised and zero TLS variables in several threads, aligned as asked.
#include "show.h"

static __thread int counter = 100;
static __thread char zeros[1000];
static __thread struct {
    long v;
} __attribute__((aligned(64))) aligned_value = {7};

static void *body(void *argument) {
    long sum = 0;
    for (int i = 0; i < 1000; i++) sum += zeros[i];
    say("counter %d zeros %ld aligned %lu value %ld", ++counter, sum,
        (unsigned long)((uintptr_t)&aligned_value % 64), aligned_value.v++);
    memset(zeros, 1, sizeof zeros);
    return argument;
}

int main(void) {
    body(NULL);
    for (int i = 0; i < 3; i++) pthread_join(start_thread(body, NULL), NULL);
    return 0;
}
