// SIGCHLD with siginfo; SIG_IGN and SA_NOCLDWAIT leave nothing to wait for; killing a child.
#include "show.h"

static volatile int count, code, status;
static volatile pid_t from;

static void handler(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    code = info->si_code;
    status = info->si_status;
    from = info->si_pid;
    count++;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        if (argv[1][0] == 'p')
            for (;;) pause();
        return atoi(argv[1]);
    }
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    MUST(sigaction(SIGCHLD, &action, NULL));
    pid_t child = spawn_self("21", NULL);
    while (count < 1) sleep_ms(1);
    say("code %s status %d from %s", code == CLD_EXITED ? "exited" : "?", status,
        from == child ? "the child" : "?");
    show_child("child", child);
    child = spawn_self("p", NULL);
    SHOW(kill(child, 0));
    SHOW(kill(child, SIGTERM));
    while (count < 2) sleep_ms(1);
    say("code %s status %d", code == CLD_KILLED ? "killed" : "?", status);
    SHOW(kill(child, 0));
    show_child("child", child);
    SHOW(kill(child, 0));
    signal(SIGCHLD, SIG_IGN);
    child = spawn_self("3", NULL);
    SHOW(waitpid(child, NULL, 0));
    action = (struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    MUST(sigaction(SIGCHLD, &action, NULL));
    child = spawn_self("4", NULL);
    SHOW(waitpid(child, NULL, 0));
    return 0;
}
