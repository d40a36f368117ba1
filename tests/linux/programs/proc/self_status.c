// Fields of /proc/self/status that programs look for.
#include "show.h"
#include <sys/prctl.h>

static void show_fields(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[512], text[64];
    int uid[4];
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "Name:\t%63s", text) == 1) say("Name: %s", text);
        if (sscanf(line, "State:\t%c", text) == 1) say("State: %c", *text);
        if (!strncmp(line, "Threads:", 8)) say("Threads: %d", atoi(line + 8));
        if (!strncmp(line, "Pid:", 4)) SHOW_TRUE(atoi(line + 4) == getpid());
        if (!strncmp(line, "Tgid:", 5)) SHOW_TRUE(atoi(line + 5) == getpid());
        if (!strncmp(line, "PPid:", 5)) SHOW_TRUE(atoi(line + 5) == getppid());
        if (sscanf(line, "Uid:\t%d\t%d\t%d\t%d", uid, uid + 1, uid + 2, uid + 3) == 4)
            SHOW_TRUE(uid[0] == (int)getuid() && uid[1] == (int)geteuid());
        if (!strncmp(line, "VmRSS:", 6)) SHOW_TRUE(atol(line + 6) > 0);
        if (!strncmp(line, "VmSize:", 7)) SHOW_TRUE(atol(line + 7) > 0);
        if (!strncmp(line, "SigBlk:", 7) || !strncmp(line, "SigIgn:", 7) || !strncmp(line, "SigCgt:", 7)) {
            line[strlen(line) - 1] = 0;
            say("%s", line);
        }
    }
    fclose(f);
}

// The file is about the first thread: until it waits for this one, its state and its mask are on the move.
static void await_the_first_thread(void) {
    char line[512], state = 0;
    while (state != 'S') {
        FILE *f = fopen("/proc/self/status", "r");
        while (fgets(line, sizeof line, f)) sscanf(line, "State:\t%c", &state);
        fclose(f);
        usleep(1000);
    }
}

static void *idle(void *argument) {
    (void)argument;
    await_the_first_thread();
    show_fields();
    return NULL;
}

static void handler(int number) {
    (void)number;
}

int main(void) {
    MUST(prctl(PR_SET_NAME, "status-test"));
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    show_fields();
    pthread_join(start_thread(idle, NULL), NULL);
    return 0;
}
