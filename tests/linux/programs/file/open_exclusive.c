// O_EXCL: refuses whatever is there, a dangling symlink included.
#include "show.h"

int main(void) {
    SHOW(open("file", O_WRONLY | O_CREAT | O_EXCL, 0644));
    SHOW(open("file", O_WRONLY | O_CREAT | O_EXCL, 0644));
    MUST(symlink("nowhere", "dangling"));
    SHOW(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
    show_path("nowhere");
    MUST(mkdir("directory", 0755));
    SHOW(open("directory", O_WRONLY | O_CREAT | O_EXCL, 0644));
    SHOW_OK(open("dangling", O_WRONLY | O_CREAT, 0644));
    show_path("nowhere");
    return 0;
}
