// EFD_SEMAPHORE gives one at a time.
#include "show.h"
#include <sys/eventfd.h>

int main(void) {
    int fd = MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    uint64_t v = 0;
    for (int i = 0; i < 3; i++) {
        SHOW(read(fd, &v, 8));
        SHOW_NUMBER(v);
    }
    v = 10;
    SHOW(write(fd, &v, 8));
    SHOW(read(fd, &v, 8));
    SHOW_NUMBER(v);
    return 0;
}
