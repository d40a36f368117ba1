// What a container without extra rights gets for mounting, swapping, rebooting with wrong arguments.
#include "show.h"

int main(void) {
    SHOW(syscall(SYS_umount2, "/no/such/mount", 0) == -1);
    SHOW(syscall(SYS_mount, "none", "/no/such/place", "tmpfs", 0, NULL) == -1);
    SHOW(syscall(SYS_reboot, 1, 2, 3, NULL) == -1);
    SHOW(syscall(SYS_swapon, "/no/such/file", 0) == -1);
    return 0;
}
