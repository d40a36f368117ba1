// clone as a system call: stack, TLS, the parent's tid words, the word that is cleared and woken at the end.
#include "show.h"
#include <sched.h>

static volatile int ran, parent_tid, child_tid = -1;
static char stack[65536] __attribute__((aligned(16)));

static int body(void *argument) {
    ran = (int)(intptr_t)argument;
    syscall(SYS_exit, 0);
    return 0;
}

int main(void) {
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                      CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;
    int tid = clone(body, stack + sizeof stack, flags, (void *)17, &parent_tid, NULL, &child_tid);
    SHOW_TRUE(tid > 0);
    while (child_tid != 0) syscall(SYS_futex, &child_tid, 0, tid, NULL, NULL, 0);
    SHOW_NUMBER(ran);
    SHOW_TRUE(parent_tid == tid);
    SHOW(syscall(SYS_clone, CLONE_THREAD, NULL, NULL, NULL, 0L));
    SHOW(syscall(SYS_clone, CLONE_SIGHAND, NULL, NULL, NULL, 0L));
    SHOW(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, NULL, NULL, NULL, 0L));
    return 0;
}
