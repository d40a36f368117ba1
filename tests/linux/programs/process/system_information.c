// sysinfo: plausible numbers, bad pointer.
#include "show.h"
#include <sys/sysinfo.h>

int main(void) {
    struct sysinfo s;
    SHOW(sysinfo(&s));
    SHOW_TRUE(s.totalram > 0 && s.freeram <= s.totalram && s.mem_unit >= 1);
    SHOW_TRUE(s.uptime > 0 && s.procs >= 1);
    SHOW(syscall(SYS_sysinfo, bad_pointer()));
    return 0;
}
