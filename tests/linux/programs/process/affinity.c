// sched_setaffinity: what is set is what is read, also by threads started after it; errors in Linux's order.
#include "show.h"
#include <sched.h>

static int first_of(const cpu_set_t *set) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, set)) return cpu;
    return -1;
}

static void *inherits(void *one) {
    cpu_set_t set;
    MUST(sched_getaffinity(0, sizeof set, &set));
    SHOW_TRUE(CPU_EQUAL(&set, (cpu_set_t *)one));
    return NULL;
}

int main(void) {
    cpu_set_t all, one, set;
    MUST(sched_getaffinity(0, sizeof all, &all));
    CPU_ZERO(&one);
    CPU_SET(first_of(&all), &one);
    SHOW(sched_setaffinity(0, sizeof one, &one));
    MUST(sched_getaffinity(0, sizeof set, &set));
    SHOW_TRUE(CPU_EQUAL(&set, &one));
    pthread_join(start_thread(inherits, &one), NULL);
    MUST(sched_setaffinity(getpid(), sizeof all, &all));
    MUST(sched_getaffinity(getpid(), sizeof set, &set));
    SHOW_TRUE(CPU_EQUAL(&set, &all));
    CPU_ZERO(&set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    SHOW(sched_setaffinity(0, 0, &one));
    SHOW(sched_setaffinity(-1, sizeof one, &one));
    SHOW(sched_setaffinity(-1, sizeof one, (void *)8));
    SHOW(syscall(SYS_sched_getaffinity, -1, sizeof set, &set));
    SHOW(syscall(SYS_sched_getaffinity, -1, 1, &set));
    SHOW(syscall(SYS_sched_getaffinity, 0, sizeof set, (void *)8));
    return 0;
}
