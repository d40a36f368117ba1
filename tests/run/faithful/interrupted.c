// What a program notices of host signals at awkward moments: `interrupted ROUNDS [pause]` counts SIGWINCH, and checks that its
// registers, files and memory are as they should be.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void count(int number) {
    (void)number;
    signals++;
}

static sigjmp_buf back;

static void go_back(int number) {
    (void)number;
    siglongjmp(back, 1);
}

// An asynchronous exit, wherever it runs.
static void fault(void) {
    if (sigsetjmp(back, 1) == 0) *(volatile char *)8 = 1;
}

static void need(int good, const char *what) {
    if (!good) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

static void read_file(const char *name, unsigned char *into, long size) {
    int file = open(name, O_RDONLY);
    need(file >= 0, name);
    need(read(file, into, size) == size, name);
    close(file);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigaction(SIGWINCH, &action, NULL);
    signal(SIGSEGV, go_back);
    unsigned char first[432], report[432], key[16], key_again[16];
    read_file("/dev/attestation/report", first, 432);
    read_file("/dev/attestation/keys/_sgx_mrenclave", key, 16);
    double sum = 0;
    int rounds = atoi(argv[1]);
    for (int round = 0; round < rounds; round++) {
        read_file("/dev/attestation/report", report, 432);
        need(memcmp(first, report, 432) == 0, "report");
        read_file("/dev/attestation/keys/_sgx_mrenclave", key_again, 16);
        need(memcmp(key, key_again, 16) == 0, "key");
        size_t size = 1 << 20;
        unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        need(memory != MAP_FAILED, "mmap");
        for (size_t at = 0; at < size; at += 1 << 16) memory[at] = at >> 16;
        for (size_t at = 0; at < size; at += 1 << 16) need(memory[at] == at >> 16, "memory");
        need(munmap(memory, size) == 0, "munmap");
        fault();
        sum += 0.5;
        need(sum == 0.5 * (round + 1), "floating point");
        need(write(STDERR_FILENO, "", 0) == 0, "write");
        if (argc > 2) pause();
    }
    printf("%d rounds, %s\n", rounds, signals >= (argc > 2 ? rounds : 1) ? "signals came" : "no signal came");
    return 0;
}
