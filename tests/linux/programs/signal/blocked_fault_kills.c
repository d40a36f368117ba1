// A fault whose signal is blocked, or ignored, kills all the same.
#include "show.h"

static void handler(int number) {
    say("handler %d", number);
}

int main(void) {
    on_signal(SIGSEGV, handler, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    say("before");
    *(volatile char *)bad_pointer() = 1;
    say("not reached");
    return 0;
}
