// `at_enclu LEAF EVERY CALL FILE COMMAND...`: runs the command. When it is about to execute ENCLU with this leaf (and, if CALL is not
// -1, with this number in RDI), each EVERYth time, a SIGWINCH, which nobody minds who does not ask for it, reaches it at that very
// instruction. Writes into the file how often that was.
//
// ENCLU faults here. A fault that is not delivered makes the instruction execute again; a signal sent meanwhile comes first.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 64 };

static struct {
    pid_t id;
    int sent; // for the ENCLU that the thread is at
} threads[THREADS];

static int *sent_of(pid_t id) {
    for (int at = 0; at < THREADS; at++) {
        if (threads[at].id == 0) threads[at].id = id;
        if (threads[at].id == id) return &threads[at].sent;
    }
    abort();
}

static int is_blocked(pid_t thread) {
    unsigned long mask = 0;
    if (ptrace(PTRACE_GETSIGMASK, thread, (void *)sizeof mask, &mask)) abort();
    return mask >> (SIGWINCH - 1) & 1;
}

static unsigned long leaf, every;
static long call, seen, count;

static int is_at_it(pid_t thread) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, thread, NULL, &regs)) abort();
    errno = 0;
    long code = ptrace(PTRACE_PEEKTEXT, thread, (void *)regs.rip, NULL);
    return errno == 0 && (code & 0xffffff) == 0xd7010f && (unsigned)regs.rax == leaf &&
           (call < 0 || regs.rdi == (unsigned long)call);
}

// Which signal the stopped thread goes on with.
static int decide(pid_t process, pid_t thread, int signal) {
    if ((signal != SIGSEGV && signal != SIGILL) || is_blocked(thread) || !is_at_it(thread)) return signal;
    int *sent = sent_of(thread);
    if (*sent) {
        *sent = 0;
        return signal;
    }
    if (seen++ % every) return signal;
    *sent = 1;
    count++;
    if (syscall(SYS_tgkill, process, thread, SIGWINCH)) abort();
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 6) return 78;
    leaf = strtoul(argv[1], NULL, 10);
    every = strtoul(argv[2], NULL, 10);
    call = strtol(argv[3], NULL, 10);
    pid_t process = fork();
    if (process == 0) {
        if (ptrace(PTRACE_TRACEME)) _exit(77);
        raise(SIGSTOP);
        execv(argv[5], argv + 5);
        _exit(78);
    }
    int status;
    waitpid(process, &status, 0);
    if (!WIFSTOPPED(status)) return 77;
    ptrace(PTRACE_SETOPTIONS, process, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE);
    ptrace(PTRACE_CONT, process, NULL, 0);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) abort();
        if (WIFSTOPPED(status)) {
            int signal = WSTOPSIG(status);
            // Events of new threads, and the stop with which one begins, are no signals of the program's.
            if (status >> 16 || signal == SIGSTOP || signal == SIGTRAP) signal = 0;
            else signal = decide(process, thread, signal);
            ptrace(PTRACE_CONT, thread, NULL, signal);
        } else if (thread == process) {
            break;
        }
    }
    FILE *file = fopen(argv[4], "w");
    if (file == NULL || fprintf(file, "%ld\n", count) < 0 || fclose(file)) return 78;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
