// Canonical mode: a line at a time, edited with the usual keys, echoed as it is typed.
#include "terminal.h"

int main(void) {
    int master, slave;
    open_pair(&master, &slave);
    type(master, "hello\n");
    show_screen("echo", master);
    show_line("line", slave, 100);
    type(master, "no end");
    show_nothing_yet("without an end", slave);
    type(master, "\r");
    show_line("with one", slave, 100);
    show_screen("echo", master);
    type(master, "abcd\x7f\x7fX\n");
    show_screen("erased", master);
    show_line("erased", slave, 100);
    type(master, "some words here\x17there\n");
    show_screen("a word erased", master);
    show_line("a word erased", slave, 100);
    type(master, "all of it\x15rest\n");
    show_screen("killed", master);
    show_line("killed", slave, 100);
    type(master, "tab\tx\x7f\x7f.\n");
    show_screen("a tab erased", master);
    show_line("a tab erased", slave, 100);
    type(master, "\x01\x02\x7f\n");
    show_screen("control characters", master);
    show_line("control characters", slave, 100);
    type(master, "\x16\x03\x16\x7f\n");
    show_screen("literal", master);
    show_line("literal", slave, 100);
    type(master, "again\x12!\n");
    show_screen("reprinted", master);
    show_line("reprinted", slave, 100);
    type(master, "one\ntwo\nthree\n");
    show_line("first", slave, 100);
    show_line("second, in part", slave, 2);
    show_line("its rest", slave, 100);
    show_line("third", slave, 100);
    type(master, "part\x04");
    show_line("ended by EOF", slave, 100);
    type(master, "\x04");
    show_line("the end", slave, 100);
    type(master, "exact\x04");
    show_line("as long as the buffer", slave, 5);
    show_nothing_yet("nothing behind it", slave);
    show_screen("", master);
    int waiting = -1;
    type(master, "12\n345");
    for (int i = 0; i < 500 && waiting != 3; i++) {
        sleep_ms(10);
        MUST(ioctl(slave, FIONREAD, &waiting));
    }
    SHOW_NUMBER(waiting);
    SHOW(tcflush(slave, TCIFLUSH));
    type(master, "after\n");
    show_line("flushed", slave, 100);
    show_screen("", master);
    set_local(slave, 0, ECHO);
    type(master, "secret\n");
    show_screen("no echo", master);
    show_line("no echo", slave, 100);
    set_local(slave, ECHONL, 0);
    type(master, "secret\n");
    show_screen("only the newline", master);
    show_line("only the newline", slave, 100);
    set_local(slave, ECHO, ECHOE | ECHOK | ECHOKE | ECHONL | ECHOCTL);
    type(master, "ab\x7f" "c\x15" "d\x01\n");
    show_screen("plain echo", master);
    show_line("plain echo", slave, 100);
    return 0;
}
