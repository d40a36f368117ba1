// One side without a barrier, one side with membarrier: never do both miss the other's store. Threads that compute, sleep,
// and make barriers of their own are all waited for, or need not be.
#include "show.h"
#include <stdatomic.h>

enum { ROUNDS = 400 };
static atomic_int x, y, go, seen_y, ended;

static long membarrier(int command) {
    return syscall(SYS_membarrier, command, 0, 0);
}

static void *without(void *unused) {
    for (int round = 1; round <= ROUNDS; round++) {
        while (atomic_load_explicit(&go, memory_order_acquire) < round) continue;
        atomic_store_explicit(&x, round, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        atomic_store_explicit(&seen_y, atomic_load_explicit(&y, memory_order_relaxed), memory_order_relaxed);
        atomic_store_explicit(&ended, round, memory_order_release);
    }
    return unused;
}

static void *sleeps(void *pipe_end) {
    char byte;
    return (void *)(long)read(*(int *)pipe_end, &byte, 1);
}

static void *also(void *unused) {
    for (int i = 0; i < 100; i++) MUST(membarrier(8));
    return unused;
}

int main(void) {
    int ends[2], both_missed = 0;
    MUST(pipe(ends));
    MUST(membarrier(16));
    pthread_t fast = start_thread(without, NULL), sleeper = start_thread(sleeps, ends);
    pthread_t other = start_thread(also, NULL);
    for (int round = 1; round <= ROUNDS; round++) {
        atomic_store_explicit(&go, round, memory_order_release);
        atomic_store_explicit(&y, round, memory_order_relaxed);
        MUST(membarrier(round % 8 ? 8 : 1));
        int seen_x = atomic_load_explicit(&x, memory_order_relaxed);
        while (atomic_load_explicit(&ended, memory_order_acquire) < round) continue;
        if (seen_x < round && atomic_load(&seen_y) < round) both_missed++;
    }
    SHOW_NUMBER(both_missed);
    MUST(write(ends[1], "x", 1));
    void *result;
    pthread_join(sleeper, &result);
    SHOW_NUMBER((long)result);
    pthread_join(fast, NULL);
    pthread_join(other, NULL);
    return 0;
}
