// A process-wide signal goes to the one thread that does not block it; tgkill to the named one.
#include "show.h"

static pthread_t worker;
static volatile int ready, on_worker, on_main;
static pthread_t main_thread;

static void handler(int number) {
    (void)number;
    if (pthread_equal(pthread_self(), main_thread)) on_main++;
    else on_worker++;
}

static void *work(void *argument) {
    sigset_t none;
    (void)argument;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    ready = 1;
    while (on_worker < 2) sleep_ms(1);
    return NULL;
}

int main(void) {
    main_thread = pthread_self();
    on_signal(SIGUSR1, handler, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    worker = start_thread(work, NULL);
    while (!ready) sleep_ms(1);
    MUST(kill(getpid(), SIGUSR1));
    while (on_worker < 1) sleep_ms(1);
    SHOW_ERROR(pthread_kill(worker, SIGUSR1));
    pthread_join(worker, NULL);
    say("main %d worker %d", on_main, on_worker);
    SHOW_ERROR(pthread_kill(pthread_self(), SIGUSR1));
    say("main %d", on_main);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    say("main %d", on_main);
    return 0;
}
