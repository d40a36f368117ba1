// Fifty children, eight at a time, each with its own code.
#include "show.h"

int main(int argc, char **argv) {
    if (argc > 1) return atoi(argv[1]);
    int running = 0, sum = 0, ended = 0;
    for (int i = 0; i < 50 || running > 0;) {
        if (i < 50 && running < 8) {
            char text[8];
            snprintf(text, sizeof text, "%d", i++);
            spawn_self(text, NULL);
            running++;
            continue;
        }
        int status;
        MUST(wait(&status));
        running--;
        ended++;
        sum += WEXITSTATUS(status);
    }
    say("ended %d sum %d", ended, sum);
    SHOW(wait(NULL));
    return 0;
}
