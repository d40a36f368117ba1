// Without SA_NODEFER a handler is not interrupted by its own signal but by others; with it, it is; sa_mask
// holds off.
#include "show.h"

static int depth;
static bool raised;

static void enter(int number) {
    depth++;
    say("enter %d depth %d", number, depth);
    if (!raised) {
        raised = true;
        raise(SIGUSR1);
        raise(SIGUSR2);
    }
    say("leave %d depth %d", number, depth);
    depth--;
}

int main(void) {
    struct sigaction action = {.sa_handler = enter};
    MUST(sigaction(SIGUSR1, &action, NULL));
    MUST(sigaction(SIGUSR2, &action, NULL));
    say("plain");
    raise(SIGUSR1);
    raised = false;
    say("mask holds SIGUSR2");
    sigaddset(&action.sa_mask, SIGUSR2);
    MUST(sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    raised = false;
    say("SA_NODEFER");
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_NODEFER;
    MUST(sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    return 0;
}
