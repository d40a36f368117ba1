// A path whose NUL is missing before unmapped memory is EFAULT; one that just fits is fine.
#include "show.h"

int main(void) {
    char *pages = guarded_pages(1);
    make_file("abc", "");
    struct stat st;
    memcpy(pages + PAGE - 4, "abc", 4);
    SHOW(stat(pages + PAGE - 4, &st));
    memcpy(pages + PAGE - 3, "abc", 3);
    SHOW(stat(pages + PAGE - 3, &st));
    SHOW(access(pages + PAGE, F_OK));
    SHOW(open(pages + PAGE - 3, O_RDONLY));
    SHOW(syscall(SYS_stat, "abc", pages + PAGE - 8));
    SHOW(syscall(SYS_fstat, 1, pages + PAGE - 8));
    return 0;
}
