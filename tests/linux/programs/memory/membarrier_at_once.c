// Several threads ask for barriers at the same time, of each other and of one that computes: each of them comes back.
#include "show.h"
#include <stdatomic.h>

enum { ASKERS = 4, EACH = 2000 };
static atomic_int ended;

static long membarrier(int command) {
    return syscall(SYS_membarrier, command, 0, 0);
}

static void *compute(void *unused) {
    while (atomic_load_explicit(&ended, memory_order_relaxed) < ASKERS) continue;
    return unused;
}

static void *ask(void *unused) {
    for (int i = 0; i < EACH; i++) MUST(membarrier(8));
    atomic_fetch_add(&ended, 1);
    return unused;
}

int main(void) {
    MUST(membarrier(16));
    pthread_t askers[ASKERS], other = start_thread(compute, NULL);
    for (int i = 0; i < ASKERS; i++) askers[i] = start_thread(ask, NULL);
    for (int i = 0; i < ASKERS; i++) pthread_join(askers[i], NULL);
    pthread_join(other, NULL);
    SHOW_NUMBER(ended);
    return 0;
}
