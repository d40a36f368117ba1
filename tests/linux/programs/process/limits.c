// getrlimit, setrlimit and prlimit: round trips, lowering, raising above the hard limit, nonsense.
#include "show.h"
#include <sys/resource.h>

int main(void) {
    struct rlimit old, l;
    SHOW(getrlimit(RLIMIT_CORE, &old));
    l = (struct rlimit){0, old.rlim_max};
    SHOW(setrlimit(RLIMIT_CORE, &l));
    SHOW(getrlimit(RLIMIT_CORE, &l));
    SHOW_TRUE(l.rlim_cur == 0 && l.rlim_max == old.rlim_max);
    MUST(getrlimit(RLIMIT_NOFILE, &old));
    l = (struct rlimit){old.rlim_max, old.rlim_cur - 1};
    SHOW(setrlimit(RLIMIT_NOFILE, &l));
    l = (struct rlimit){100, 200};
    SHOW(prlimit(0, RLIMIT_NOFILE, &l, &old));
    SHOW(prlimit(getpid(), RLIMIT_NOFILE, NULL, &l));
    say("%ld %ld", (long)l.rlim_cur, (long)l.rlim_max);
    SHOW(dup2(0, 99));
    SHOW(dup2(0, 100));
    SHOW(syscall(SYS_prlimit64, 0, 99, NULL, &l));
    SHOW(prlimit(999999999, RLIMIT_NOFILE, NULL, &l));
    SHOW(syscall(SYS_getrlimit, RLIMIT_NOFILE, bad_pointer()));
    SHOW_NUMBER(sysconf(_SC_OPEN_MAX));
    MUST(getrlimit(RLIMIT_STACK, &l));
    SHOW_TRUE(l.rlim_cur >= 1 << 20);
    return 0;
}
