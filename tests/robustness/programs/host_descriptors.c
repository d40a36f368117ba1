// The host has fewer descriptors than the program may have: what needs one of the host's is refused with EMFILE or ENFILE, everything
// else goes on, and what is closed can be had again.
#include "inet.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define MOST 400

static int sockets[MOST];
static int count;

static void fill(void) {
    while (count < MOST) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (s < 0) break;
        sockets[count++] = s;
    }
    SHOW_TRUE(count < MOST && (errno == EMFILE || errno == ENFILE));
}

static void *body(void *argument) {
    return argument;
}

static void read_an_image_file(const char *path) {
    char head[4] = {0};
    int file = MUST(open(path, O_RDONLY));
    SHOW(read(file, head, sizeof head));
    show_bytes(path, head, sizeof head);
    char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    SHOW_TRUE(at != MAP_FAILED && memcmp(at, head, sizeof head) == 0);
    MUST(close(file));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        say("the child runs");
        return 7;
    }
    (void)argv;
    uint16_t port;
    int listener = tcp_listener(&port);
    int client = tcp_connect(port);
    fill();
    int first_time = count;
    // Refused, time and again.
    int refused = 0;
    for (int i = 0; i < 1000; i++) {
        int s = socket(AF_INET, SOCK_DGRAM, 0);
        refused += s < 0;
        if (s >= 0) close(s);
    }
    SHOW_NUMBER(refused);
    // Nothing of this needs the host's descriptors, or only for a moment.
    int pair[2];
    SHOW(pipe(pair));
    SHOW(write(pair[1], "x", 1));
    SHOW_OK(eventfd(0, 0));
    SHOW_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    read_an_image_file("/etc/never-read-before");
    make_file("written", "in memory");
    show_content("written");
    pthread_join(start_thread(body, NULL), NULL);
    show_child("a child", spawn_self("child", NULL));
    // An epoll over a descriptor of the host has one of its own there.
    int epoll = SHOW_OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
    // The connection waits until there is room for it.
    SHOW_TRUE(accept(listener, NULL, NULL) < 0 && (errno == EMFILE || errno == ENFILE));
    MUST(close(sockets[--count]));
    MUST(close(sockets[--count]));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
    int accepted = accept(listener, NULL, NULL);
    SHOW_TRUE(accepted >= 0);
    MUST(write(client, "hello", 5));
    char text[8] = {0};
    SHOW(read(accepted, text, sizeof text));
    // All back, and all over again.
    MUST(close(accepted));
    MUST(close(epoll));
    while (count > 0) MUST(close(sockets[--count]));
    fill();
    SHOW_TRUE(count == first_time);
    return 0;
}
