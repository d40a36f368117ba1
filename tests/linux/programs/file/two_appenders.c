// Two descriptions of one file that both append never overwrite each other.
#include "show.h"

static int fds[2];

static void *append(void *which) {
    char line[9];
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof line, "%c%06d\n", (char)(intptr_t)which, i);
        if (write(fds[(intptr_t)which - 'a'], line, 8) != 8) say("short write");
    }
    return NULL;
}

int main(void) {
    for (int i = 0; i < 2; i++) fds[i] = MUST(open("log", O_WRONLY | O_CREAT | O_APPEND, 0644));
    pthread_t a = start_thread(append, (void *)'a'), b = start_thread(append, (void *)'b');
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    show_path("log");
    FILE *log = fopen("log", "r");
    char line[16];
    int next[2] = {0, 0};
    while (fgets(line, sizeof line, log))
        if (atoi(line + 1) == next[line[0] - 'a']) next[line[0] - 'a']++;
    SHOW_NUMBER(next[0]);
    SHOW_NUMBER(next[1]);
    return 0;
}
