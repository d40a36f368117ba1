// O_NOFOLLOW refuses only the last component.
#include "show.h"

int main(void) {
    MUST(mkdir("directory", 0755));
    make_file("directory/file", "inside");
    MUST(symlink("directory", "dirlink"));
    MUST(symlink("directory/file", "filelink"));
    SHOW(open("filelink", O_RDONLY | O_NOFOLLOW));
    SHOW(open("dirlink", O_RDONLY | O_NOFOLLOW));
    SHOW_OK(open("dirlink/file", O_RDONLY | O_NOFOLLOW));
    SHOW_OK(open("dirlink/", O_RDONLY | O_NOFOLLOW));
    SHOW_OK(open("directory/file", O_RDONLY | O_NOFOLLOW));
    SHOW(open("filelink", O_WRONLY | O_CREAT | O_NOFOLLOW, 0644));
    return 0;
}
