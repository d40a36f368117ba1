// Threads: results, identity, pid against tid, joining one that has ended already.
#include "show.h"

static pid_t main_pid;

static void *body(void *argument) {
    SHOW_TRUE(getpid() == main_pid);
    SHOW_TRUE(syscall(SYS_gettid) != main_pid);
    return (char *)argument + 1;
}

int main(void) {
    main_pid = getpid();
    SHOW_TRUE(syscall(SYS_gettid) == main_pid);
    void *result;
    pthread_t thread = start_thread(body, (void *)41);
    SHOW_ERROR(pthread_join(thread, &result));
    SHOW_NUMBER(result);
    thread = start_thread(body, (void *)1);
    sleep_ms(20);
    SHOW_ERROR(pthread_join(thread, &result));
    SHOW_NUMBER(result);
    return 0;
}
