// The auxiliary vector: entries that a C library needs, and what they must agree with.
#include "show.h"
#include <elf.h>

extern const char _start[];

int main(void) {
    SHOW_NUMBER(getauxval(AT_PAGESZ));
    SHOW_NUMBER(getauxval(AT_CLKTCK));
    SHOW_NUMBER(getauxval(AT_PHENT));
    SHOW_TRUE(getauxval(AT_PHNUM) > 2 && getauxval(AT_PHNUM) < 30);
    SHOW_TRUE((const char *)getauxval(AT_ENTRY) == _start);
    SHOW_TRUE(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    SHOW_TRUE(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    SHOW_NUMBER(getauxval(AT_SECURE));
    SHOW_TRUE(getauxval(AT_RANDOM) != 0);
    SHOW_TRUE(getauxval(AT_HWCAP) != 0);
    SHOW_TRUE(getauxval(AT_PLATFORM) && !strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
    SHOW_TRUE(getauxval(AT_EXECFN) && ((char *)getauxval(AT_EXECFN))[0] == '/');
    SHOW_TRUE(getauxval(AT_SYSINFO_EHDR) != 0);
    const Elf64_Phdr *headers = (void *)getauxval(AT_PHDR);
    bool load = false, stack = false;
    for (unsigned long i = 0; headers && i < getauxval(AT_PHNUM); i++) {
        load |= headers[i].p_type == PT_LOAD;
        stack |= headers[i].p_type == PT_GNU_STACK;
    }
    SHOW_TRUE(load && stack);
    errno = 0;
    SHOW_NUMBER(getauxval(9999));
    say("%s", errno_name(errno));
    return 0;
}
