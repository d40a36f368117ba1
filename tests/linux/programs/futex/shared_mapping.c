// A non-private futex in a shared file mapping, waited for and woken through two different addresses.
#include "show.h"

static int *a, *b;

static void *waiter(void *argument) {
    syscall(SYS_futex, a, 0, 0, NULL, NULL, 0);
    return argument;
}

int main(void) {
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0644));
    MUST(ftruncate(fd, PAGE));
    a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW_TRUE(a != b);
    pthread_t thread = start_thread(waiter, NULL);
    sleep_ms(30);
    SHOW(syscall(SYS_futex, b, 1 | 128, 1, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, b, 1, 1, NULL, NULL, 0));
    pthread_join(thread, NULL);
    return 0;
}
