// /proc/self/stat: pid, name, state, parent, threads in the right places.
#include "show.h"
#include <sys/prctl.h>

int main(void) {
    MUST(prctl(PR_SET_NAME, "a (tricky) name"));
    char data[2048];
    int fd = MUST(open("/proc/self/stat", O_RDONLY));
    long n = read(fd, data, sizeof data - 1);
    data[n] = 0;
    SHOW_TRUE(atoi(data) == getpid());
    char *end = strrchr(data, ')');
    char *start = strchr(data, '(');
    show_bytes("name", start, end - start + 1);
    char state;
    int parent, group, session, terminal;
    SHOW_NUMBER(sscanf(end + 1, " %c %d %d %d %d", &state, &parent, &group, &session, &terminal));
    say("%c", state);
    SHOW_TRUE(parent == getppid() && group == getpgid(0) && session == getsid(0));
    int fields = 2;
    for (char *p = end + 1; *p; p++) fields += *p == ' ';
    SHOW_NUMBER(fields);
    return 0;
}
