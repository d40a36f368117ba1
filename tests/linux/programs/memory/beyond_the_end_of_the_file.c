// The rest of a file's last page is zeros; pages wholly beyond its end are SIGBUS.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    make_file("file", "0123456789");
    int fd = MUST(open("file", O_RDWR));
    char *m = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    show_read("data", m, 9);
    show_read("behind the data", m, 10);
    show_read("next page", m, PAGE);
    show_read("next page, private", p, PAGE);
    show_write("next page", m, 2 * PAGE);
    MUST(ftruncate(fd, 2 * PAGE));
    show_read("after growing", m, PAGE);
    show_write("after growing", m, PAGE);
    show_read("still beyond", m, 2 * PAGE);
    MUST(ftruncate(fd, 4));
    show_read("after shrinking", m, PAGE);
    show_read("cut off", m, 5);
    char data[8];
    SHOW(write(1, m + PAGE, 1));
    SHOW(pread(fd, data, 8, 0));
    return 0;
}
