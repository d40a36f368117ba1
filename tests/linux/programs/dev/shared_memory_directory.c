// /dev/shm is a directory for everybody; shm_open works.
#include "show.h"

int main(void) {
    struct stat st;
    MUST(stat("/dev/shm", &st));
    show_stat("/dev/shm", &st);
    char name[64];
    snprintf(name, sizeof name, "/casemate-test-%d", getpid());
    int fd = SHOW_OK(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    SHOW(ftruncate(fd, PAGE));
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW_TRUE(m != MAP_FAILED);
    strcpy(m, "shared");
    SHOW_TRUE(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600) < 0);
    int again = MUST(shm_open(name, O_RDONLY, 0));
    char data[8] = "";
    SHOW(read(again, data, 7));
    say("%s", data);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(shm_unlink(name));
    SHOW_TRUE(shm_open(name, O_RDWR, 0) < 0);
    return 0;
}
