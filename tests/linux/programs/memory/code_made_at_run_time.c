// Machine code that is written at run time and makes a system call.
#include "show.h"

int main(void) {
    // mov eax, SYS_getppid; syscall; ret, twice over with another number patched in
    unsigned char text[] = {0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3};
    unsigned char *code =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, text, sizeof text);
    long (*call)(void) = (long (*)(void))code;
    SHOW_TRUE(call() == getppid());
    code[1] = SYS_getpid;
    SHOW_TRUE(call() == getpid());
    MUST(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
    SHOW_TRUE(call() == getpid());
    int good = 0;
    for (int i = 0; i < 1000; i++) good += call() == getpid();
    SHOW_NUMBER(good);
    return 0;
}
