// RLIMIT_NPROC ends pthread_create and posix_spawn with EAGAIN; the rest goes on, and ended threads make room for others.
#include "show.h"
#include <grp.h>
#include <sys/resource.h>

#define LIMIT 24

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static volatile int work;

static void *wait_at_the_gate(void *argument) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    __sync_fetch_and_add(&work, 1);
    return argument;
}

// Threads until one is refused.
static int fill(pthread_t *threads) {
    int made = 0, error = 0;
    while (made < 2 * LIMIT && (error = pthread_create(&threads[made], NULL, wait_at_the_gate, NULL)) == 0) made++;
    say("pthread_create: %s", error ? errno_name(error) : "no limit");
    return made;
}

// The kernel lets go of a thread a moment after pthread_join.
static int create_soon(pthread_t *thread) {
    int error = EAGAIN;
    for (int i = 0; i < 500 && error == EAGAIN; i++) {
        error = pthread_create(thread, NULL, wait_at_the_gate, NULL);
        if (error == EAGAIN) sleep_ms(10);
    }
    return error;
}

int main(void) {
    // Nobody else has this id, so that all that counts is here. The first user of all is bound by no limit.
    struct rlimit limit = {LIMIT, LIMIT};
    pthread_t threads[2 * LIMIT];
    MUST(setrlimit(RLIMIT_NPROC, &limit));
    if (geteuid() != 0) {
        say("only a privileged user can become another one");
        return 0;
    }
    MUST(setgroups(0, NULL));
    MUST(setresgid(54321, 54321, 54321));
    MUST(setresuid(54321, 54321, 54321));
    pthread_mutex_lock(&gate);
    int made = fill(threads);
    SHOW_NUMBER(made);
    int refused = 0;
    for (int n = 0; n < 100; n++) {
        pthread_t another;
        refused += pthread_create(&another, NULL, wait_at_the_gate, NULL) == EAGAIN;
    }
    SHOW_NUMBER(refused);
    // A process counts as well.
    char *arguments[] = {"none", NULL};
    pid_t child;
    SHOW_ERROR(posix_spawn(&child, self_path(), NULL, NULL, arguments, NULL));
    // What is there works.
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < made / 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < made / 2; i++) SHOW_ERROR(create_soon(&threads[i]));
    for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
    SHOW_NUMBER(work);
    pthread_mutex_lock(&gate);
    for (int n = 0; n < 500 && (work = 0, true); n++) {
        if (pthread_create(&threads[0], NULL, wait_at_the_gate, NULL) == 0) break;
        sleep_ms(10);
    }
    pthread_mutex_unlock(&gate);
    pthread_join(threads[0], NULL);
    SHOW_NUMBER(work);
    return 0;
}
