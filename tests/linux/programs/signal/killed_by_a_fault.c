// An unhandled fault ends the program by the signal.
#include "show.h"

int main(void) {
    say("before");
    *(volatile char *)bad_pointer() = 1;
    say("not reached");
    return 0;
}
