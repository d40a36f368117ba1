// prctl: PDEATHSIG, DUMPABLE, KEEPCAPS, NO_NEW_PRIVS, SUBREAPER, unknown options.
#include "show.h"
#include <sys/prctl.h>

int main(void) {
    int v = -1;
    SHOW(prctl(PR_GET_PDEATHSIG, &v));
    SHOW_NUMBER(v);
    SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    SHOW(prctl(PR_GET_PDEATHSIG, &v));
    SHOW_NUMBER(v);
    SHOW(prctl(PR_SET_PDEATHSIG, 99));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 7));
    SHOW(prctl(PR_SET_DUMPABLE, 1));
    SHOW(prctl(PR_GET_KEEPCAPS));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
    SHOW(prctl(PR_GET_CHILD_SUBREAPER, &v));
    SHOW_NUMBER(v);
    SHOW(prctl(PR_GET_TIMERSLACK) > 0);
    SHOW(prctl(0x7fffffff, 0, 0, 0, 0));
    return 0;
}
