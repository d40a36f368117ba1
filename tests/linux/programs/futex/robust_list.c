// set_robust_list and get_robust_list; a dying thread marks the words on its list.
#include "show.h"

struct head {
    void *next;
    long offset;
    void *pending;
};

static struct {
    void *next;
    int word;
} lock;
static struct head head = {&lock, offsetof(__typeof__(lock), word), NULL};

static void *die_with_it(void *argument) {
    lock.next = &head;
    lock.word = (int)syscall(SYS_gettid);
    MUST(syscall(SYS_set_robust_list, &head, sizeof head));
    struct head *got;
    size_t size = 0;
    MUST(syscall(SYS_get_robust_list, 0, &got, &size));
    SHOW_TRUE(got == &head);
    SHOW_NUMBER(size);
    syscall(SYS_exit, 0);
    return argument;
}

int main(void) {
    SHOW(syscall(SYS_set_robust_list, &head, 7));
    SHOW(syscall(SYS_get_robust_list, 999999999, &head, &head));
    start_thread(die_with_it, NULL);
    while (!(lock.word & 0x40000000)) sleep_ms(1);
    say("word %#x", (unsigned)lock.word & 0xc0000000);
    return 0;
}
