// SA_RESETHAND: once, then the default.
#include "show.h"

static void handler(int number) {
    struct sigaction now;
    MUST(sigaction(number, NULL, &now));
    say("handler, now %s", now.sa_handler == SIG_DFL ? "default" : "set");
}

int main(void) {
    on_signal(SIGUSR1, handler, SA_RESETHAND);
    raise(SIGUSR1);
    say("again");
    raise(SIGUSR1);
    say("not reached");
    return 0;
}
