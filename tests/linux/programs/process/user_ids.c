// setuid to oneself, getresuid, getgroups, setfsuid.
#include "show.h"
#include <sys/fsuid.h>

int main(void) {
    uid_t r, e, s;
    SHOW(getresuid(&r, &e, &s));
    SHOW_TRUE(r == getuid() && e == geteuid() && s == geteuid());
    SHOW(setuid(getuid()));
    SHOW(setgid(getgid()));
    SHOW(setresuid(-1, -1, -1));
    SHOW(setresuid(r, r, r));
    SHOW(setreuid(-1, e));
    SHOW(syscall(SYS_getresuid, bad_pointer(), &e, &s));
    SHOW_TRUE(getgroups(0, NULL) >= 0);
    gid_t groups[100];
    SHOW_TRUE(getgroups(100, groups) == getgroups(0, NULL));
    SHOW(syscall(SYS_getgroups, -1, groups));
    SHOW_TRUE((uid_t)setfsuid(-1) == geteuid());
    SHOW(setuid(-1));
    return 0;
}
