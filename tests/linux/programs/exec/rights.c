// Ids and capabilities across execve: root, another user, the ambient set, SECBIT_NOROOT, set-user-id and set-group-id files,
// no_new_privs; AT_SECURE and dumpable.
#include "capability.h"


static void show_rights(void) {
    struct cap_sets sets = get_capabilities();
    uid_t r, e, s;
    gid_t rg, eg, sg;
    MUST(getresuid(&r, &e, &s));
    MUST(getresgid(&rg, &eg, &sg));
    int ambient = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_FOWNER, 0, 0);
    say("uids %d %d %d gids %d %d %d, eff %llx prm %llx inh %llx, FOWNER ambient %d, keep %d", r, e, s, rg, eg, sg,
        (unsigned long long)sets.effective, (unsigned long long)sets.permitted, (unsigned long long)sets.inheritable,
        ambient, prctl(PR_GET_KEEPCAPS));
    say("secure %ld, auxv ids %ld %ld %ld %ld, dumpable %d, no new privileges %d", getauxval(AT_SECURE),
        getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID), getauxval(AT_EGID), prctl(PR_GET_DUMPABLE),
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static int again(const char *path) {
    char *argv[] = {(char *)path, (char *)"show", NULL}, *envp[] = {NULL};
    execve(path, argv, envp);
    say("execve: %s", errno_name(errno));
    return 1;
}

// A copy of this program, which becomes `uid` or `gid` where the mode says so.
static void copy(const char *to, uid_t uid, gid_t gid, mode_t mode) {
    char data[65536];
    int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));
    for (long n; (n = MUST(read(in, data, sizeof data))) > 0;) MUST(write(out, data, n));
    close(in);
    close(out);
    MUST(chown(to, uid, gid));
    MUST(chmod(to, mode));
}

static void become(uid_t id) {
    MUST(setgroups(0, NULL));
    MUST(setresgid(id, id, id));
    MUST(setresuid(id, id, id));
}

static int part(const char *name) {
    if (!strcmp(name, "root")) return again("copy");
    if (!strcmp(name, "root without SETPCAP")) {
        MUST(set_capabilities(BIT(CAP_KILL), BIT(CAP_KILL), 0));
        return again("copy");
    }
    if (!strcmp(name, "root in name only")) {
        MUST(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT));
        return again("copy");
    }
    if (!strcmp(name, "effective")) {
        MUST(prctl(PR_SET_KEEPCAPS, 1));
        MUST(seteuid(1000));
        return again("copy");
    }
    if (!strcmp(name, "ambient") || !strcmp(name, "ambient to set-uid")) {
        MUST(set_capabilities(CONTAINER, CONTAINER, BIT(CAP_FOWNER)));
        MUST(prctl(PR_SET_KEEPCAPS, 1));
        MUST(setresuid(1000, 1000, 1000));
        MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0));
        return again(!strcmp(name, "ambient") ? "copy" : "set-uid");
    }
    if (!strncmp(name, "no new", 6)) MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    become(1000);
    if (!strcmp(name, "user")) return again("copy");
    if (strstr(name, "set-gid only")) return again("set-gid-only");
    if (strstr(name, "set-gid")) return again("set-gid");
    if (strstr(name, "set-root")) return again("set-root");
    return again("set-uid");
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "show")) {
        show_rights();
        return 0;
    }
    if (getuid() != 0) {
        say("not root");
        return 0;
    }
    be_in_a_container();
    if (argc > 1) return part(argv[1]);
    MUST(chmod(".", 0755));
    copy("copy", 0, 0, 0755);
    copy("set-uid", 2000, 0, 04755);
    copy("set-gid", 0, 2000, 02755);
    copy("set-gid-only", 0, 2000, 02745);
    copy("set-root", 0, 0, 06755);
    const char *parts[] = {"root", "root without SETPCAP", "root in name only", "effective", "ambient",
                           "ambient to set-uid", "user", "set-uid", "set-gid", "set-gid only", "set-root",
                           "no new set-uid", "no new set-root"};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) show_child(parts[i], spawn_self(parts[i], NULL));
    return 0;
}
