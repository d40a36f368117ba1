// execve: handlers become the default, ignored stay ignored, mask and pending stay, the alternate stack goes.
#include "show.h"

static void handler(int number) {
    (void)number;
}

static const char *action_of(int number) {
    struct sigaction a;
    MUST(sigaction(number, NULL, &a));
    return a.sa_handler == SIG_DFL ? "default" : a.sa_handler == SIG_IGN ? "ignored" : "handler";
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        sigset_t mask, pending;
        stack_t s;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        sigpending(&pending);
        MUST(sigaltstack(NULL, &s));
        say("USR1 %s, USR2 %s, HUP blocked %d pending %d, altstack %s", action_of(SIGUSR1),
            action_of(SIGUSR2), sigismember(&mask, SIGHUP), sigismember(&pending, SIGHUP),
            s.ss_flags & SS_DISABLE ? "off" : "on");
        return 0;
    }
    static char stack[65536];
    stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
    MUST(sigaltstack(&s, NULL));
    on_signal(SIGUSR1, handler, 0);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGHUP);
    char *arguments[] = {"x", "child", NULL};
    SHOW(execv(self_path(), arguments));
    return 1;
}
