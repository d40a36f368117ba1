// Where things lie relative to each other: heap above the program, stack above both, page zero empty.
#include "show.h"

int main(void) {
    int local;
    static int data;
    char *stack = (char *)&local, *program = (char *)&data, *brk = (char *)syscall(SYS_brk, 0);
    SHOW_TRUE(stack > program);
    SHOW_TRUE(brk > program);
    SHOW_TRUE((uintptr_t)program > 65535);
    SHOW_TRUE((uintptr_t)stack >> 47 == 0);
    return 0;
}
