// A full backlog: EAGAIN for a non-blocking connect; a blocking one waits for accept.
#include "show.h"
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
static int listener;

static void *acceptor(void *argument) {
    sleep_ms(30);
    for (int i = 0; i < 2; i++) MUST(accept(listener, NULL, NULL));
    return argument;
}

int main(void) {
    listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&a, sizeof a));
    MUST(listen(listener, 0));
    int ok = 0, s;
    while ((s = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)),
            connect(s, (struct sockaddr *)&a, sizeof a)) == 0)
        ok++;
    say("%s", errno_name(errno));
    SHOW_NUMBER(ok);
    pthread_t thread = start_thread(acceptor, NULL);
    s = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    SHOW(connect(s, (struct sockaddr *)&a, sizeof a));
    pthread_join(thread, NULL);
    return 0;
}
