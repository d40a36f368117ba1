// Opening what is not there, in its several ways of not being there.
#include "show.h"

int main(void) {
    make_file("file", "x");
    SHOW(open("missing", O_RDONLY));
    SHOW(open("missing/below", O_RDONLY));
    SHOW(open("file/below", O_RDONLY));
    SHOW(open("missing/below", O_WRONLY | O_CREAT, 0644));
    SHOW(open("file/below", O_WRONLY | O_CREAT, 0644));
    SHOW(open("", O_RDONLY));
    SHOW(open("file/", O_RDONLY));
    SHOW(open("new/", O_WRONLY | O_CREAT, 0644));
    SHOW(open(bad_pointer(), O_RDONLY));
    return 0;
}
