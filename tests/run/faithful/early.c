// `early ENTRY STATE COUNT COMMAND...`: runs the command, a loader with --faithful. When the enclave's first thread has come so many
// instructions beyond the moment when the word at STATE became 2, a SIGTERM reaches it there. ENTRY (where threads enter, in the first
// page of the image's code) and STATE are addresses in the enclave image.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// Enclaves begin at 0 and are smaller (runtime/sgx/src/layout.rs); the loader is above.
#define ENCLAVE_TOP (1ul << 46)

static pid_t process;

static struct user_regs_struct registers(void) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, process, NULL, &regs)) abort();
    return regs;
}

static int go_on(int request, int signal) {
    int status;
    if (ptrace(request, process, NULL, signal) || waitpid(process, &status, 0) != process) abort();
    return status;
}

// The loader's first ENCLU is the EENTER of the first thread.
static int is_first_entry(void) {
    struct user_regs_struct regs = registers();
    errno = 0;
    long code = ptrace(PTRACE_PEEKTEXT, process, (void *)regs.rip, NULL);
    return errno == 0 && (code & 0xffffff) == 0xd7010f && (unsigned)regs.rax == 2;
}

// Where the enclave's only code begins.
static unsigned long text(void) {
    char path[64], line[512], rights[8];
    unsigned long start, end;
    snprintf(path, sizeof path, "/proc/%d/maps", process);
    FILE *maps = fopen(path, "r");
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && end <= ENCLAVE_TOP && !strcmp(rights, "r-xp"))
            return fclose(maps), start;
    abort();
}

static void watch(unsigned long address, unsigned long control) {
    const size_t at = offsetof(struct user, u_debugreg);
    if (ptrace(PTRACE_POKEUSER, process, (void *)at, address) ||
        ptrace(PTRACE_POKEUSER, process, (void *)(at + 7 * sizeof(long)), control))
        exit(77);
}

// From the fault of the first EENTER, which is to be delivered, to the place.
static void reach(int fault, unsigned long state, long count) {
    // Writes of four bytes (DR7: L0, R/W0 = 1, LEN0 = 3).
    watch(state, 1 | 1 << 16 | 3 << 18);
    int signal = fault;
    do {
        int status = go_on(PTRACE_CONT, signal);
        if (!WIFSTOPPED(status)) abort();
        signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    } while ((unsigned)ptrace(PTRACE_PEEKDATA, process, (void *)state, NULL) != 2);
    watch(0, 0);
    while (count > 0) {
        int status = go_on(PTRACE_SINGLESTEP, signal);
        if (!WIFSTOPPED(status)) abort();
        signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        count -= registers().rip < ENCLAVE_TOP;
    }
}

int main(int argc, char **argv) {
    if (argc < 5) return 78;
    unsigned long entry = strtoul(argv[1], NULL, 16), state = strtoul(argv[2], NULL, 16);
    process = fork();
    if (process == 0) {
        if (ptrace(PTRACE_TRACEME)) _exit(77);
        raise(SIGSTOP);
        execv(argv[4], argv + 4);
        _exit(78);
    }
    int status, entered = 0;
    waitpid(process, &status, 0);
    if (!WIFSTOPPED(status)) return 77;
    ptrace(PTRACE_SETOPTIONS, process, NULL, PTRACE_O_EXITKILL);
    status = go_on(PTRACE_CONT, 0);
    while (WIFSTOPPED(status)) {
        int signal = WSTOPSIG(status);
        if ((signal == SIGSEGV || signal == SIGILL) && !entered && is_first_entry()) {
            entered = 1;
            reach(signal, text() - (entry & -4096ul) + state, atol(argv[3]));
            signal = SIGTERM;
        } else if (signal == SIGTRAP) {
            signal = 0;
        }
        status = go_on(PTRACE_CONT, signal);
    }
    if (!entered) return 79;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
