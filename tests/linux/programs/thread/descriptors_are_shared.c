// Descriptors, working directory and umask belong to all threads.
#include "show.h"

static void *body(void *argument) {
    make_file("file", "opened elsewhere");
    MUST(dup2(MUST(open("file", O_RDONLY)), 60));
    MUST(mkdir("d", 0755));
    MUST(chdir("d"));
    umask(027);
    return argument;
}

int main(void) {
    char data[32];
    umask(022);
    pthread_join(start_thread(body, NULL), NULL);
    SHOW(read(60, data, sizeof data));
    show_content("../file");
    SHOW_NUMBER(umask(0));
    return 0;
}
