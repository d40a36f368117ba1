// uname: what does not differ.
#include "show.h"
#include <sys/utsname.h>

int main(void) {
    struct utsname u;
    int major, minor;
    SHOW(uname(&u));
    say("%s %s", u.sysname, u.machine);
    SHOW_TRUE(strlen(u.nodename) > 0 && strlen(u.version) > 0);
    SHOW_NUMBER(sscanf(u.release, "%d.%d", &major, &minor));
    SHOW_TRUE(major >= 4);
    char name[65];
    SHOW(gethostname(name, sizeof name));
    SHOW_TRUE(!strcmp(name, u.nodename));
    SHOW(syscall(SYS_uname, bad_pointer()));
    return 0;
}
