// Two threads count in one page of a memfd through mappings of their own, by atomic additions, and then take turns.
#include "show.h"
#include <pthread.h>
#include <stdatomic.h>

enum { ROUNDS = 300 };
static atomic_int *words[2];

static void *body(void *argument) {
    int me = *(int *)argument, other = 1 - me;
    for (int i = 0; i < ROUNDS; i++) atomic_fetch_add(&words[me][0], 1);
    for (int i = 0; i < ROUNDS; i++) {
        int seen;
        while ((seen = atomic_load(&words[me][1])) != me) syscall(SYS_futex, &words[me][1], 0, seen, NULL, NULL, 0);
        atomic_store(&words[me][1], other);
        syscall(SYS_futex, &words[me][1], 1, 1, NULL, NULL, 0);
    }
    return NULL;
}

int main(void) {
    int fd = MUST(memfd_create("m", 0)), ids[2] = {0, 1};
    MUST(ftruncate(fd, PAGE));
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        words[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (words[i] == MAP_FAILED) must("mmap", -1, errno);
    }
    for (int i = 0; i < 2; i++) MUST(-pthread_create(&threads[i], NULL, body, &ids[i]));
    for (int i = 0; i < 2; i++) MUST(-pthread_join(threads[i], NULL));
    SHOW_NUMBER(atomic_load(&words[0][0]));
    SHOW_NUMBER(atomic_load(&words[1][0]));
    int value = 0;
    SHOW(pread(fd, &value, sizeof value, 0));
    SHOW_NUMBER(value);
    return 0;
}
