// The exit system call ends only its thread.
#include "show.h"

static void *body(void *argument) {
    syscall(SYS_exit, 9);
    return argument;
}

int main(void) {
    start_thread(body, NULL);
    sleep_ms(30);
    say("main goes on");
    syscall(SYS_exit, 3);
    return 0;
}
