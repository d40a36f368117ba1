// set_tid_address returns the tid; the word is cleared and woken at the thread's end.
#include "show.h"

static int word = 1;

static void *body(void *argument) {
    SHOW_TRUE(syscall(SYS_set_tid_address, &word) == syscall(SYS_gettid));
    syscall(SYS_exit, 0);
    return argument;
}

int main(void) {
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    MUST(-!!pthread_create(&thread, &a, body, NULL));
    while (word) syscall(SYS_futex, &word, 0, 1, NULL, NULL, 0);
    SHOW_NUMBER(word);
    return 0;
}
