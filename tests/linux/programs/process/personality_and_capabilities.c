// personality is 0 or as inherited; capget's versions.
#include "show.h"

struct header {
    uint32_t version;
    int pid;
};

int main(void) {
    SHOW(syscall(SYS_personality, 0xffffffffUL) & 0xff);
    struct header h = {0x20080522, 0};
    uint32_t data[6];
    SHOW(syscall(SYS_capget, &h, data));
    h.version = 1;
    SHOW(syscall(SYS_capget, &h, data));
    SHOW(h.version == 0x20080522);
    h.pid = 999999999;
    SHOW(syscall(SYS_capget, &h, data));
    SHOW(syscall(SYS_capget, bad_pointer(), data));
    return 0;
}
