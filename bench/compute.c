// Times computations that make no system calls; prints "name nanoseconds" per line. The least of many short rounds counts, so that
// what else the machine does seldom falls on all of them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 60, SIDE = 96, SORTED = 40000, CHAIN = 1 << 22, STEPS = 40000, LARGE = 8 << 20 };

static volatile uint64_t sink;
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
static uint32_t unsorted[SORTED], sorted[SORTED];
static uint32_t *chain;
static char *source, *target;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

static void integers(void) {
    uint64_t state = 88172645463325252ULL, sum = 0;
    for (int i = 0; i < 1000000; i++) sum += next(&state) % 1000;
    sink = sum;
}

static void matrices(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double sum = 0;
            for (int k = 0; k < SIDE; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    sink = (uint64_t)c[3][5];
}

static int compare(const void *left, const void *right) {
    uint32_t x = *(const uint32_t *)left, y = *(const uint32_t *)right;
    return (x > y) - (x < y);
}

static void sorting(void) {
    memcpy(sorted, unsorted, sizeof sorted);
    qsort(sorted, SORTED, sizeof *sorted, compare);
    sink = sorted[SORTED / 2];
}

// Each step misses the caches and, with small pages, the TLB.
static void chasing(void) {
    uint32_t at = 0;
    for (int i = 0; i < STEPS; i++) at = chain[at];
    sink = at;
}

static void copying(void) {
    memcpy(target, source, LARGE);
    sink = target[LARGE / 2];
}

// One cycle through all of the array (Sattolo's algorithm).
static void make_chain(void) {
    uint64_t state = 1;
    for (uint32_t i = 0; i < CHAIN; i++) chain[i] = i;
    for (uint32_t i = CHAIN - 1; i > 0; i--) {
        uint32_t j = next(&state) % i, kept = chain[i];
        chain[i] = chain[j], chain[j] = kept;
    }
}

static void measure(const char *name, void (*work)(void)) {
    double best = 1e18;
    work();
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        work();
        double took = now() - start;
        if (took < best) best = took;
    }
    printf("%s %.0f\n", name, best);
}

int main(void) {
    uint64_t state = 42;
    chain = malloc(CHAIN * sizeof *chain), source = malloc(LARGE), target = malloc(LARGE);
    if (!chain || !source || !target) return 1;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) a[i][j] = next(&state) % 100, b[i][j] = next(&state) % 100;
    for (int i = 0; i < SORTED; i++) unsorted[i] = (uint32_t)next(&state);
    memset(source, 'x', LARGE);
    make_chain();
    measure("integers", integers);
    measure("matrices", matrices);
    measure("sorting", sorting);
    measure("pointer-chasing-16M", chasing);
    measure("copying-8M", copying);
    return 0;
}
