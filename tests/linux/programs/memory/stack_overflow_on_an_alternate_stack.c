// Running out of stack is a SIGSEGV that a handler on an alternate stack survives.
#include "show.h"
#include <setjmp.h>

static sigjmp_buf back;

__attribute__((noinline)) static long deep(long n) {
    volatile char frame[4096];
    frame[n % 4096] = 1;
    return n < 0 ? 0 : deep(n + 1) + frame[n % 4096];
}

static void handler(int number, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    say("signal %d", number);
    siglongjmp(back, 1);
}

static void *overflow(void *argument) {
    static char stack[65536];
    (void)argument;
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    MUST(sigaltstack(&alternate, NULL));
    if (sigsetjmp(back, 1) == 0) say("%ld", deep(0));
    else say("survived");
    return NULL;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    MUST(sigaction(SIGSEGV, &action, NULL));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 262144);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, overflow, NULL)) return 1;
    pthread_join(thread, NULL);
    return 0;
}
