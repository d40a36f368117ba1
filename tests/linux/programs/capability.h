// What linux/capability.h and linux/securebits.h have, which musl's headers do not come with.
#ifndef CAPABILITY_H
#define CAPABILITY_H
#include "show.h"
#include <grp.h>
#include <sys/prctl.h>

enum { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER = 3, CAP_KILL = 5, CAP_SETGID, CAP_SYS_ADMIN = 21 };
enum {
    SECBIT_NOROOT = 1,
    SECBIT_NO_SETUID_FIXUP = 4,
    SECBIT_NO_SETUID_FIXUP_LOCKED = 8,
    SECBIT_KEEP_CAPS_LOCKED = 32,
    SECBIT_NO_CAP_AMBIENT_RAISE = 64,
};
#define VERSION_1 0x19980330U
#define VERSION_3 0x20080522U
#define BIT(capability) (1ULL << (capability))
// What container engines leave to root; natively there is more at first.
#define CONTAINER 0xa80425fbULL

struct cap_header {
    uint32_t version;
    int pid;
};
struct cap_data {
    uint32_t effective, permitted, inheritable;
};
struct cap_sets {
    uint64_t effective, permitted, inheritable;
};

static inline struct cap_sets get_capabilities(void) {
    struct cap_header header = {VERSION_3, 0};
    struct cap_data low_high[2];
    MUST(syscall(SYS_capget, &header, low_high));
    struct cap_sets sets = {
        low_high[0].effective | (uint64_t)low_high[1].effective << 32,
        low_high[0].permitted | (uint64_t)low_high[1].permitted << 32,
        low_high[0].inheritable | (uint64_t)low_high[1].inheritable << 32,
    };
    return sets;
}

static inline long set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct cap_header header = {VERSION_3, 0};
    struct cap_data low_high[2] = {
        {effective, permitted, inheritable},
        {effective >> 32, permitted >> 32, inheritable >> 32},
    };
    return syscall(SYS_capset, &header, low_high);
}

// As root in a container.
static inline void be_in_a_container(void) {
    for (int c = 0; c <= 40; c++)
        if (!(CONTAINER & BIT(c)) && prctl(PR_CAPBSET_READ, c) == 1) MUST(prctl(PR_CAPBSET_DROP, c));
    MUST(set_capabilities(CONTAINER, CONTAINER, 0));
}
#endif
