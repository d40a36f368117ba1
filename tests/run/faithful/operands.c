// Executes ENCLU in the program itself, with good and with bad operands, and prints what comes of it.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EREPORT, EGETKEY, EENTER, ERESUME, EEXIT, EACCEPT, EMODPE, EACCEPTCOPY };

static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void caught(int number, siginfo_t *info, void *context) {
    (void)context;
    fault_signal = number;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(back, 1);
}

struct operands {
    _Alignas(4096) unsigned char first[512];
    unsigned char data[512];
    unsigned char output[512];
};

static struct operands *operands;

// Vector, by what the kernel makes of it: #GP has no address; or RAX and ZF.
static void try_leaf(const char *what, uint64_t leaf, const void *rbx, const void *rcx, const void *rdx) {
    if (sigsetjmp(back, 1)) {
        if (fault_signal == SIGSEGV && fault_code == SI_KERNEL && fault_address == NULL)
            printf("%s: #GP\n", what);
        else if (fault_signal == SIGSEGV)
            printf("%s: #PF at %s\n", what, fault_address == rbx ? "rbx" : fault_address == rcx ? "rcx" : fault_address == rdx ? "rdx" : "?");
        else
            printf("%s: signal %d\n", what, fault_signal);
        return;
    }
    uint64_t rax = leaf;
    unsigned char zero;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd7\n setz %1" : "+a"(rax), "=q"(zero) : "b"(rbx), "c"(rcx), "d"(rdx) : "memory", "cc");
    if (leaf == EREPORT || leaf == EMODPE)
        printf("%s: done\n", what);
    else
        printf("%s: code %d, ZF %d\n", what, (int)rax, zero);
}

static void *page(int protection) {
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at, 0, 4096);
    mprotect(at, 4096, protection);
    return at;
}

static void reports(void) {
    unsigned char expected[432];
    int file = open("/dev/attestation/report", O_RDONLY);
    if (read(file, expected, sizeof expected) != sizeof expected) abort();
    close(file);
    unsigned char *first = operands->first, *data = operands->data, *output = operands->output;
    memset(first, 0, 512);
    memset(data, 7, 64);
    try_leaf("report", EREPORT, first, data, output);
    printf("the body but for the data is that of /dev/attestation/report: %d\n", memcmp(output, expected, 320) == 0);
    printf("the data is the program's: %d\n", memcmp(output + 320, data, 64) == 0);
    try_leaf("report, TARGETINFO not aligned", EREPORT, first + 256, data, output);
    try_leaf("report, REPORTDATA not aligned", EREPORT, first, data + 64, output);
    try_leaf("report, output not aligned", EREPORT, first, data, output + 256);
    try_leaf("report, TARGETINFO outside", EREPORT, (void *)(UINT64_C(1) << 46), data, output);
    try_leaf("report, REPORTDATA outside", EREPORT, first, (void *)(UINT64_C(1) << 46), output);
    try_leaf("report, output outside", EREPORT, first, data, (void *)(UINT64_C(1) << 46));
    try_leaf("report, output read-only", EREPORT, first, data, page(PROT_READ));
    try_leaf("report, TARGETINFO without access", EREPORT, page(PROT_NONE), data, output);
}

static void keys(void) {
    // KEYREQUEST (SDM 35.18): KEYNAME at 0, KEYPOLICY at 2, ISVSVN at 4, CPUSVN at 8, reserved from 436 on.
    unsigned char *request = operands->first, *key = operands->output, again[16];
    memset(request, 0, 512);
    request[0] = 4;
    request[2] = 1;
    try_leaf("key", EGETKEY, request, key, NULL);
    memcpy(again, key, 16);
    memset(key, 0, 16);
    try_leaf("key again", EGETKEY, request, key, NULL);
    printf("the same key: %d\n", memcmp(again, key, 16) == 0);
    try_leaf("key, request not aligned", EGETKEY, request + 16, key, NULL);
    try_leaf("key, output not aligned", EGETKEY, request, key + 8, NULL);
    try_leaf("key, request outside", EGETKEY, (void *)(UINT64_C(1) << 46), key, NULL);
    try_leaf("key, output outside", EGETKEY, request, (void *)(UINT64_C(1) << 46), NULL);
    try_leaf("key, output read-only", EGETKEY, request, page(PROT_READ), NULL);
    request[511] = 1;
    try_leaf("key, reserved byte", EGETKEY, request, key, NULL);
    request[511] = 0;
    request[4] = request[5] = 0xff;
    try_leaf("key, ISVSVN too high", EGETKEY, request, key, NULL);
    request[4] = request[5] = 0;
    memset(request + 8, 0xff, 16);
    try_leaf("key, CPUSVN too high", EGETKEY, request, key, NULL);
    memset(request + 8, 0, 16);
    request[0] = 1;
    try_leaf("provisioning key", EGETKEY, request, key, NULL);
    request[0] = 9;
    try_leaf("key without a name", EGETKEY, request, key, NULL);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    operands = page(PROT_READ | PROT_WRITE);
    reports();
    keys();
    memset(operands->first, 0, 64);
    // A regular, pending page with R and W (SDM 35.11): FLAGS 2 << 8 | 1 << 3 | 3.
    operands->first[0] = 0x0b;
    operands->first[1] = 2;
    try_leaf("accept what does not wait", EACCEPT, operands->first, operands, NULL);
    try_leaf("accept a page outside", EACCEPT, operands->first, (void *)(UINT64_C(1) << 46), NULL);
    try_leaf("enter from inside", EENTER, operands, operands, NULL);
    try_leaf("resume from inside", ERESUME, operands, operands, NULL);
    try_leaf("no such leaf", 99, operands, operands, NULL);
    return 0;
}
