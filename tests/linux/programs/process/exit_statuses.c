// Only the low eight bits of an exit status are kept.
#include "show.h"

int main(void) {
    say("exiting with 0x1234");
    exit(0x1234);
}
