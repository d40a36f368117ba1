// memfd_create: an anonymous file, its flags, and seals.
#include "show.h"
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#define F_SEAL_WRITE 8
#endif

int main(void) {
    int fd = MUST(syscall(SYS_memfd_create, "name", 1 | 2));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(write(fd, "content", 7));
    struct stat st;
    MUST(fstat(fd, &st));
    say("size %ld mode %o links %ld", (long)st.st_size, st.st_mode, (long)st.st_nlink);
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    SHOW(ftruncate(fd, 3));
    SHOW(ftruncate(fd, 30));
    SHOW(pwrite(fd, "C", 1, 0));
    SHOW(pwrite(fd, "more than there is", 18, 0));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
    SHOW(pwrite(fd, "D", 1, 0));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(fcntl(fd, F_GET_SEALS));
    int plain = MUST(syscall(SYS_memfd_create, "", 0));
    SHOW(fcntl(plain, F_GETFD));
    SHOW(fcntl(plain, F_GET_SEALS));
    SHOW(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(syscall(SYS_memfd_create, "x", 0x4000));
    SHOW(syscall(SYS_memfd_create, bad_pointer(), 0));
    return 0;
}
