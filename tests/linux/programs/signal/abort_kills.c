// abort ends by SIGABRT even when it is ignored.
#include "show.h"

int main(void) {
    signal(SIGABRT, SIG_IGN);
    say("before");
    abort();
}
