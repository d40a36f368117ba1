// A FIFO: opening waits for the other side, O_NONBLOCK does not, data flows, ENXIO without a reader.
#include "show.h"

static void *writer(void *argument) {
    (void)argument;
    sleep_ms(20);
    int fd = MUST(open("fifo", O_WRONLY));
    MUST(write(fd, "through", 7));
    MUST(close(fd));
    return NULL;
}

int main(void) {
    SHOW(mkfifo("fifo", 0600));
    SHOW(mkfifo("fifo", 0600));
    show_path("fifo");
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    int reader = SHOW_OK(open("fifo", O_RDONLY | O_NONBLOCK));
    char data[16];
    SHOW(read(reader, data, 16));
    int other = SHOW_OK(open("fifo", O_WRONLY | O_NONBLOCK));
    SHOW(read(reader, data, 16));
    SHOW(write(other, "abc", 3));
    SHOW(close(other));
    SHOW(read(reader, data, 16));
    SHOW(read(reader, data, 16));
    SHOW(close(reader));
    pthread_t thread = start_thread(writer, NULL);
    reader = SHOW_OK(open("fifo", O_RDONLY));
    SHOW(read(reader, data, 7));
    SHOW(read(reader, data, 7));
    pthread_join(thread, NULL);
    SHOW_OK(open("fifo", O_RDWR));
    return 0;
}
