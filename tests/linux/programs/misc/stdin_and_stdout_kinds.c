// The standard streams as the tests get them: empty input, a pipe for output.
#include "show.h"

int main(void) {
    char c;
    struct stat st;
    SHOW(read(0, &c, 1));
    SHOW(fstat(1, &st));
    SHOW_TRUE(S_ISFIFO(st.st_mode));
    SHOW(lseek(1, 0, SEEK_CUR));
    SHOW(fcntl(1, F_GETFL) & O_ACCMODE);
    SHOW(write(2, "", 0));
    SHOW(isatty(1));
    SHOW(close(0));
    SHOW(open("/dev/null", O_RDONLY));
    SHOW(read(0, &c, 1));
    return 0;
}
