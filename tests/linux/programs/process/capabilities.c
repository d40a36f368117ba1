// Capabilities: capset and its limits, what becomes of them when user ids change, KEEPCAPS, the ambient and bounding sets,
// securebits; and that what was given up is refused.
#include "capability.h"
#include <sys/fsuid.h>


static void show_sets(const char *what) {
    struct cap_sets sets = get_capabilities();
    uint64_t bounding = 0, ambient = 0;
    for (int c = 0; c <= 40; c++) {
        if (prctl(PR_CAPBSET_READ, c) == 1) bounding |= BIT(c);
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1) ambient |= BIT(c);
    }
    say("%s: ids %d %d, eff %llx prm %llx inh %llx bnd %llx amb %llx, keep %d bits %x", what, getuid(), geteuid(),
        (unsigned long long)sets.effective, (unsigned long long)sets.permitted, (unsigned long long)sets.inheritable,
        (unsigned long long)bounding, (unsigned long long)ambient, prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS));
}

static void show_status_lines(void) {
    char text[8192];
    int fd = MUST(open("/proc/self/status", O_RDONLY));
    long n = MUST(read(fd, text, sizeof text - 1));
    close(fd);
    text[n] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, "Cap", 3)) say("%s", line);
}

// What capabilities are for: another's file, another's process, an owner, a group, a device.
static void show_powers(void) {
    SHOW_OK(open("closed", O_RDONLY));
    SHOW(chown("closed", 5, 5));
    SHOW(chmod("closed", 0));
    SHOW(kill(getppid(), 0));
    SHOW(setgroups(0, NULL));
    SHOW(setgid(getgid() == 7 ? 8 : 7));
    SHOW(chroot("."));
    SHOW(mknod("device", S_IFCHR | 0600, 0x103));
    unlink("device");
}

static void keeping(void) {
    SHOW(prctl(PR_SET_KEEPCAPS, 2));
    SHOW(prctl(PR_SET_KEEPCAPS, 1));
    SHOW(setresuid(1000, 1000, 1000));
    show_sets("kept");
    SHOW(setresgid(1000, 1000, 1000));
    SHOW(set_capabilities(BIT(CAP_SETGID), CONTAINER, 0));
    SHOW(setresgid(1000, 1000, 1000));
    SHOW(setresuid(0, 0, 0));
    SHOW(set_capabilities(BIT(CAP_DAC_OVERRIDE), BIT(CAP_DAC_OVERRIDE), 0));
    show_powers();
    SHOW(set_capabilities(0, 0, 0));
    SHOW(set_capabilities(BIT(CAP_CHOWN), BIT(CAP_CHOWN), 0));
    show_sets("nothing left");
    show_powers();
}

static void changing_users(void) {
    SHOW(seteuid(1000));
    show_sets("effective");
    show_powers();
    SHOW(seteuid(0));
    show_sets("back");
    SHOW(setfsuid(1000));
    show_sets("file system");
    SHOW(access("closed", R_OK));
    SHOW_OK(open("closed", O_RDONLY));
    SHOW(setfsuid(0));
    show_sets("back");
    SHOW(setreuid(1000, -1));
    show_sets("real");
    SHOW(access("closed", R_OK));
    SHOW(setresuid(1000, 1000, 1000));
    show_sets("all");
    SHOW(setuid(0));
}

static void limits(void) {
    SHOW(set_capabilities(CONTAINER | BIT(CAP_SYS_ADMIN), CONTAINER | BIT(CAP_SYS_ADMIN), 0));
    SHOW(set_capabilities(CONTAINER, BIT(CAP_CHOWN), 0));
    SHOW(set_capabilities(0, CONTAINER, CONTAINER | BIT(CAP_SYS_ADMIN)));
    SHOW(prctl(PR_CAPBSET_DROP, CAP_KILL));
    SHOW(set_capabilities(0, CONTAINER & ~BIT(CAP_CHOWN), BIT(CAP_FOWNER)));
    show_sets("reduced");
    SHOW(prctl(PR_CAPBSET_DROP, CAP_FOWNER));
    SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT));
    SHOW(prctl(PR_CAPBSET_READ, 99));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 1, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, 9, CAP_FOWNER, 0, 0));
    show_sets("ambient");
    SHOW(set_capabilities(0, CONTAINER & ~BIT(CAP_CHOWN), 0));
    show_sets("no longer inheritable");
    struct cap_header header = {VERSION_1, 0};
    struct cap_data data = {BIT(CAP_FOWNER), BIT(CAP_FOWNER), 0};
    SHOW(syscall(SYS_capset, &header, &data));
    show_sets("version 1");
    header.version = 7;
    SHOW(syscall(SYS_capset, &header, &data));
    SHOW_TRUE(header.version == VERSION_3);
    header.pid = 999999;
    SHOW(syscall(SYS_capset, &header, &data));
    SHOW(syscall(SYS_capset, &header, bad_pointer()));
    show_status_lines();
}

static void secure_bits(void) {
    SHOW(prctl(PR_SET_SECUREBITS, 0x10000));
    SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED));
    SHOW(prctl(PR_SET_KEEPCAPS, 1));
    SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS_LOCKED));
    SHOW(prctl(PR_SET_SECUREBITS,
               SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS_LOCKED |
                   SECBIT_NO_SETUID_FIXUP_LOCKED));
    SHOW(set_capabilities(CONTAINER, CONTAINER, CONTAINER));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0));
    SHOW(setresuid(1000, 1000, 1000));
    show_sets("no fixup");
}

int main(int argc, char **argv) {
    if (getuid() != 0) {
        say("not root");
        return 0;
    }
    be_in_a_container();
    if (argc > 1) {
        const char *part = argv[1];
        if (!strcmp(part, "keeping")) keeping();
        else if (!strcmp(part, "users")) changing_users();
        else if (!strcmp(part, "limits")) limits();
        else secure_bits();
        return 0;
    }
    show_sets("root");
    show_status_lines();
    make_file("closed", "closed");
    MUST(chmod("closed", 0));
    MUST(chmod(".", 0755));
    const char *parts[] = {"keeping", "users", "limits", "bits"};
    for (int i = 0; i < 4; i++) show_child(parts[i], spawn_self(parts[i], NULL));
    return 0;
}
