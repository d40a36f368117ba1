// mremap: shrinking frees the tail, growing in place or by moving keeps the contents and adds zeros.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *a = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8; i++) a[i * PAGE] = 'a' + i;
    SHOW_TRUE(mremap(a, 8 * PAGE, 4 * PAGE, 0) == a);
    show_read("cut off", a, 4 * PAGE);
    SHOW_TRUE(mremap(a, 4 * PAGE, 6 * PAGE, 0) == a);
    for (int i = 0; i < 6; i++) show_read("grown", a, i * PAGE);
    SHOW_TRUE(mmap(a + 6 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
              a + 6 * PAGE);
    SHOW_TRUE(mremap(a, 6 * PAGE, 9 * PAGE, 0) == MAP_FAILED);
    say("%s", errno_name(errno));
    char *b = mremap(a, 6 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
    SHOW_TRUE(b != MAP_FAILED && b != a);
    for (int i = 0; i < 9; i++) show_read("moved", b, i * PAGE);
    show_read("left behind", a, 0);
    return 0;
}
