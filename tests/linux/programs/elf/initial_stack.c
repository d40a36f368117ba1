// The initial stack: alignment, argv then envp then auxv in one block, strings above.
#include "show.h"
#include <elf.h>

int main(int argc, char **argv, char **envp) {
    SHOW_NUMBER(argc);
    SHOW_TRUE(envp == argv + argc + 1);
    SHOW_TRUE(argv[argc] == NULL);
    SHOW_TRUE((uintptr_t)(argv - 1) % 16 == 0);
    SHOW_NUMBER((long)((long *)argv)[-1]);
    char **e = envp;
    while (*e) e++;
    Elf64_auxv_t *a = (Elf64_auxv_t *)(e + 1);
    int entries = 0;
    while (a[entries].a_type != AT_NULL) entries++;
    SHOW_TRUE(entries > 10 && entries < 40);
    SHOW_TRUE(argv[0] > (char *)(a + entries));
    SHOW_TRUE(getenv("PATH") && getenv("HOME"));
    return 0;
}
