// A jump into memory that is not executable faults there; after mprotect it runs.
#include "show.h"
#include "fault.h"

int main(void) {
    catch_faults();
    char *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);
    int (*function)(void) = (int (*)(void))code;
    if (sigsetjmp(fault_back, 1) == 0) say("returned %d", function());
    else
        say("fault: signal %d code %d, address %s", fault_signal, fault_code,
            fault_address == code ? "right" : "wrong");
    SHOW(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
    if (sigsetjmp(fault_back, 1) == 0) say("returned %d", function());
    else say("fault: signal %d", fault_signal);
    show_write("code", code, 0);
    SHOW(mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
    code[1] = 43;
    say("returned %d", function());
    return 0;
}
