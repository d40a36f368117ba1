// More threads than there can be: EAGAIN, the rest goes on, and ended threads make room for others. Three times over.
#include "show.h"

#define MOST 300

static pthread_t threads[MOST];
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static volatile int ran;

static void *body(void *argument) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    __sync_fetch_and_add(&ran, 1);
    return argument;
}

// Threads until one is refused for good: a joined thread may be on its way out still, and takes its place until then.
static int fill(int expected) {
    int made = 0, error = 0, patience = 500;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    while (made < MOST) {
        error = pthread_create(&threads[made], &small, body, NULL);
        if (error == 0) made++;
        else if (made < expected && patience-- > 0) sleep_ms(10);
        else break;
    }
    say("then %s", error ? errno_name(error) : "no limit");
    return made;
}

int main(int argc, char **argv) {
    int first = 0;
    for (int round = 0; round < 3; round++) {
        ran = 0;
        pthread_mutex_lock(&gate);
        int made = fill(first);
        if (round == 0) say("%d threads", first = made);
        int refused = 0;
        for (int i = 0; i < 200; i++) {
            pthread_t another;
            refused += pthread_create(&another, NULL, body, NULL) == EAGAIN;
        }
        SHOW_NUMBER(refused);
        say("a process: %s", ({
                pid_t child;
                char *arguments[] = {"none", NULL};
                int error = posix_spawn(&child, self_path(), NULL, NULL, arguments, NULL);
                if (!error) MUST(waitpid(child, NULL, 0));
                error ? errno_name(error) : "no error";
            }));
        // What is there works.
        make_file("file", "contents");
        show_content("file");
        pthread_mutex_unlock(&gate);
        for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
        SHOW_TRUE(ran == made);
        SHOW_TRUE(made == first);
    }
    (void)argc;
    (void)argv;
    return 0;
}
