// /dev/random and /dev/urandom give what is asked and never the same twice; getrandom's flags.
#include "show.h"
#include <sys/random.h>

int main(void) {
    unsigned char a[64] = {0}, b[64] = {0};
    SHOW(read(MUST(open("/dev/urandom", O_RDONLY)), a, 64));
    SHOW(read(MUST(open("/dev/random", O_RDONLY)), b, 64));
    SHOW_TRUE(memcmp(a, b, 64) != 0);
    SHOW(getrandom(a, 64, 0));
    SHOW_TRUE(memcmp(a, b, 64) != 0);
    SHOW(getrandom(b, 64, GRND_NONBLOCK));
    SHOW(getrandom(b, 0, 0));
    SHOW(getrandom(b, 10, GRND_RANDOM));
    SHOW(getrandom(b, 10, 0x100));
    SHOW(getrandom(b, 10, 4 | GRND_RANDOM));
    SHOW(getrandom(bad_pointer(), 10, 0));
    int bits = 0;
    static unsigned char big[65536];
    SHOW(getrandom(big, sizeof big, 0));
    for (size_t i = 0; i < sizeof big; i++) bits += __builtin_popcount(big[i]);
    SHOW_TRUE(bits > 255000 && bits < 269000);
    SHOW(write(MUST(open("/dev/urandom", O_WRONLY)), "seed", 4));
    return 0;
}
