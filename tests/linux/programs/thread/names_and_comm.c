// prctl(PR_SET_NAME) and pthread_setname_np name one thread each.
#include "show.h"
#include <sys/prctl.h>

static void *body(void *argument) {
    char name[17] = "";
    MUST(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
    MUST(prctl(PR_GET_NAME, name));
    say("%s", name);
    return argument;
}

int main(void) {
    char name[17] = "";
    MUST(prctl(PR_SET_NAME, "main-thread"));
    pthread_join(start_thread(body, NULL), NULL);
    MUST(prctl(PR_GET_NAME, name));
    say("%s", name);
    SHOW_ERROR(pthread_setname_np(pthread_self(), "renamed"));
    MUST(prctl(PR_GET_NAME, name));
    say("%s", name);
    SHOW(prctl(PR_SET_NAME, bad_pointer()));
    return 0;
}
