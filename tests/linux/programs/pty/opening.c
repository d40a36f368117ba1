// posix_openpt, the lock, the names, and what the two ends are.
#include "terminal.h"

int main(void) {
    char name[64], again[64];
    struct stat st;
    int master = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    SHOW(ptsname_r(master, name, sizeof name));
    SHOW_TRUE(strncmp(name, "/dev/pts/", 9) == 0);
    SHOW(open(name, O_RDWR | O_NOCTTY));
    SHOW(grantpt(master));
    SHOW(unlockpt(master));
    int slave = open(name, O_RDWR | O_NOCTTY);
    SHOW_TRUE(slave >= 0);
    SHOW(isatty(slave));
    SHOW(isatty(master));
    SHOW(ttyname_r(slave, again, sizeof again));
    SHOW_TRUE(strcmp(name, again) == 0);
    MUST(fstat(slave, &st));
    SHOW_TRUE(S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 136 && st.st_uid == geteuid());
    MUST(fstat(master, &st));
    SHOW_TRUE(S_ISCHR(st.st_mode) && st.st_rdev == 0x502);
    unsigned number = 999, locked = 9;
    SHOW(ioctl(master, TIOCGPTN, &number));
    sprintf(again, "/dev/pts/%u", number);
    SHOW_TRUE(strcmp(name, again) == 0);
    SHOW(ioctl(master, TIOCGPTLCK, &locked));
    SHOW_NUMBER(locked);
    SHOW(ioctl(slave, TIOCGPTN, &number));
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    SHOW_TRUE(peer >= 0 && isatty(peer));
    SHOW(ptsname_r(slave, again, sizeof again) != 0);
    int second = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    SHOW_TRUE(strcmp(ptsname(second), name) != 0);
    SHOW(lseek(slave, 0, SEEK_SET));
    SHOW(pread(slave, again, 1, 0));
    SHOW(ftruncate(slave, 0));
    MUST(close(master));
    SHOW(open(name, O_RDWR | O_NOCTTY));
    SHOW(access("/dev/ptmx", R_OK | W_OK));
    return 0;
}
