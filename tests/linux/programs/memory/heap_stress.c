// malloc, realloc and free of many sizes from two threads keep every byte.
#include "show.h"

static long errors;

static void *work(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    enum { N = 200 };
    unsigned char *blocks[N] = {0};
    size_t sizes[N] = {0};
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1103515245 + 12345;
        int i = seed / 65536 % N;
        size_t size = seed % 1000 == 0 ? 300000 : 1 + seed / 7 % 3000;
        for (size_t k = 0; k < sizes[i]; k += 97) errors += blocks[i][k] != (unsigned char)(i + k);
        if (round % 3 == 0) {
            free(blocks[i]);
            blocks[i] = malloc(size);
        } else {
            blocks[i] = realloc(blocks[i], size);
        }
        for (size_t k = 0; k < size; k++) blocks[i][k] = i + k;
        sizes[i] = size;
    }
    return NULL;
}

int main(void) {
    pthread_t a = start_thread(work, (void *)1), b = start_thread(work, (void *)2);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    SHOW_NUMBER(errors);
    return 0;
}
