// sigaltstack: handlers with SA_ONSTACK run there, its state is visible, it cannot change while in use.
#include "show.h"

static char stack[65536];

static void handler(int number) {
    char local;
    stack_t now;
    say("signal %d on the alternate stack: %s", number,
        &local >= stack && &local < stack + sizeof stack ? "yes" : "no");
    MUST(sigaltstack(NULL, &now));
    say("flags %d size %zu", now.ss_flags, now.ss_size);
    stack_t off = {.ss_flags = SS_DISABLE};
    SHOW(sigaltstack(&off, NULL));
}

int main(void) {
    stack_t set = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    SHOW(sigaltstack(NULL, &old));
    SHOW_NUMBER(old.ss_flags);
    SHOW(sigaltstack(&set, NULL));
    SHOW(sigaltstack(NULL, &old));
    say("flags %d same %d", old.ss_flags, old.ss_sp == stack);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    raise(SIGUSR1);
    on_signal(SIGUSR1, handler, 0);
    raise(SIGUSR1);
    set.ss_size = 100;
    SHOW(sigaltstack(&set, NULL));
    set = (stack_t){.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = 0x1234};
    SHOW(sigaltstack(&set, NULL));
    SHOW(syscall(SYS_sigaltstack, bad_pointer(), NULL));
    return 0;
}
