// errno is the handler's business, locals and flags are not.
#include "show.h"
#include <sys/time.h>

static volatile int count;

static void handler(int number) {
    int saved = errno;
    (void)number;
    close(-1);
    errno = saved;
    count++;
}

int main(void) {
    on_signal(SIGALRM, handler, SA_RESTART);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    MUST(setitimer(ITIMER_REAL, &every, NULL));
    long wrong = 0, sum = 0;
    while (count < 60) {
        errno = 0;
        wrong += open("missing", O_RDONLY) != -1 || errno != ENOENT;
        wrong += getppid() <= -1;
        for (int i = 0; i < 100; i++) sum += i;
        wrong += sum % 4950 != 0;
    }
    SHOW_NUMBER(wrong);
    return 0;
}
