// A second signal during a handler on the alternate stack continues on it, below the first frame.
#include "show.h"

static char stack[131072];
static char *outer;

static void inner_handler(int number) {
    char local;
    (void)number;
    say("inner: on it %d, below the outer frame %d", &local >= stack && &local < stack + sizeof stack,
        &local < outer);
}

static void outer_handler(int number) {
    char local;
    (void)number;
    outer = &local;
    say("outer: on it %d", &local >= stack && &local < stack + sizeof stack);
    raise(SIGUSR2);
}

int main(void) {
    stack_t set = {.ss_sp = stack, .ss_size = sizeof stack};
    MUST(sigaltstack(&set, NULL));
    on_signal(SIGUSR1, outer_handler, SA_ONSTACK);
    on_signal(SIGUSR2, inner_handler, SA_ONSTACK);
    raise(SIGUSR1);
    return 0;
}
