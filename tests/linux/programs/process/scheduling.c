// sched_*: the default policy, priorities, affinity, yield.
#include "show.h"
#include <sched.h>
#include <sys/resource.h>

int main(void) {
    struct sched_param p = {0};
    SHOW(syscall(SYS_sched_getscheduler, 0));
    SHOW(syscall(SYS_sched_getparam, 0, &p));
    SHOW_NUMBER(p.sched_priority);
    SHOW(sched_yield());
    SHOW(sched_get_priority_max(SCHED_OTHER));
    SHOW(sched_get_priority_min(SCHED_FIFO));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_max(99));
    cpu_set_t set;
    SHOW(sched_getaffinity(0, sizeof set, &set));
    SHOW_TRUE(CPU_COUNT(&set) >= 1);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    SHOW(syscall(SYS_sched_getaffinity, 0, 1, &set));
    SHOW(syscall(SYS_sched_getaffinity, 999999999, sizeof set, &set));
    CPU_ZERO(&set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    errno = 0;
    SHOW_TRUE(getpriority(PRIO_PROCESS, 0) >= 0);
    SHOW(setpriority(PRIO_PROCESS, 0, 5));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 100));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(getpriority(99, 0));
    SHOW(getpriority(PRIO_PROCESS, 999999999));
    struct timespec t;
    SHOW(syscall(SYS_sched_rr_get_interval, 0, &t));
    return 0;
}
