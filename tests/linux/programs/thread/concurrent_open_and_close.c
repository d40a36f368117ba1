// Threads that open and close at the same time never get each other's numbers wrong.
#include "show.h"

static volatile long errors;

static void *body(void *argument) {
    char name[16], data[16];
    snprintf(name, sizeof name, "file-%d", (int)(intptr_t)argument);
    make_file(name, name);
    for (int i = 0; i < 3000; i++) {
        int fd = open(name, O_RDONLY), copy = dup(fd);
        long n = read(copy, data, sizeof data);
        if (fd < 0 || copy < 0 || n != (long)strlen(name) || memcmp(data, name, n))
            __sync_fetch_and_add(&errors, 1);
        if (close(fd) || close(copy)) __sync_fetch_and_add(&errors, 1);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) threads[i] = start_thread(body, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    SHOW_NUMBER(errors);
    SHOW(open("file-0", O_RDONLY));
    return 0;
}
