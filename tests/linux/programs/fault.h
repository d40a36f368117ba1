// Touching memory that may not be there: the fault is caught and printed.
#ifndef FAULT_H
#define FAULT_H
#include "show.h"
#include <setjmp.h>

static sigjmp_buf fault_back;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void fault_handler(int number, siginfo_t *info, void *context) {
    (void)context;
    fault_signal = number;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(fault_back, 1);
}

static inline void catch_faults(void) {
    struct sigaction action = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL));
    MUST(sigaction(SIGBUS, &action, NULL));
}

static inline void show_fault(const char *what, long offset, void *expected) {
    const char *name = fault_signal == SIGSEGV ? "SIGSEGV" : "SIGBUS";
    const char *code = fault_signal != SIGSEGV     ? (fault_code == BUS_ADRERR ? "ADRERR" : "?")
                       : fault_code == SEGV_MAPERR ? "MAPERR"
                       : fault_code == SEGV_ACCERR ? "ACCERR"
                                                   : "?";
    say("%s at %ld: %s %s, address %s", what, offset, name, code,
        fault_address == expected ? "right" : "wrong");
}

// `offset` is what is printed; the base stays unknown to the reader.
static inline void show_read(const char *what, char *base, long offset) {
    volatile char *at = (char *)((uintptr_t)base + offset);
    if (sigsetjmp(fault_back, 1) == 0) say("%s at %ld: read %d", what, offset, *at);
    else show_fault(what, offset, (void *)at);
}

static inline void show_write(const char *what, char *base, long offset) {
    volatile char *at = (char *)((uintptr_t)base + offset);
    if (sigsetjmp(fault_back, 1) == 0) {
        *at = 'w';
        say("%s at %ld: written", what, offset);
    } else {
        show_fault(what, offset, (void *)at);
    }
}
#endif
