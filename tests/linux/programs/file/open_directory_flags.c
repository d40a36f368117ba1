// O_DIRECTORY and writing to directories.
#include "show.h"

int main(void) {
    MUST(mkdir("directory", 0755));
    make_file("file", "");
    MUST(symlink("directory", "link"));
    MUST(symlink("file", "filelink"));
    SHOW_OK(open("directory", O_RDONLY));
    SHOW_OK(open("directory", O_RDONLY | O_DIRECTORY));
    SHOW(open("directory", O_WRONLY));
    SHOW(open("directory", O_RDWR));
    SHOW(open("directory", O_RDONLY | O_CREAT, 0644));
    SHOW(open("file", O_RDONLY | O_DIRECTORY));
    SHOW_OK(open("link", O_RDONLY | O_DIRECTORY));
    SHOW(open("link", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    SHOW(open("filelink", O_RDONLY | O_DIRECTORY));
    SHOW(open("missing", O_RDONLY | O_DIRECTORY));
    return 0;
}
