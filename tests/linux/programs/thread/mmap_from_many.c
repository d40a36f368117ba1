// Threads that map, touch, protect and unmap at the same time keep their own pages.
#include "show.h"

static volatile long errors;

static void *body(void *argument) {
    char mark = (char)(intptr_t)argument;
    for (int i = 0; i < 1500; i++) {
        size_t pages = 1 + i % 7;
        char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t k = 0; k < pages; k++) {
            if (p[k * PAGE]) __sync_fetch_and_add(&errors, 1);
            p[k * PAGE] = mark;
        }
        mprotect(p, PAGE, PROT_READ);
        for (size_t k = 0; k < pages; k++)
            if (p[k * PAGE] != mark) __sync_fetch_and_add(&errors, 1);
        munmap(p, pages * PAGE);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) threads[i] = start_thread(body, (void *)(i + 1));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    SHOW_NUMBER(errors);
    return 0;
}
