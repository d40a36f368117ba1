// Constructors run before main in order of priority, destructors after; relocated data is right; bss is zero.
#include "show.h"

static int order[4], n;
static char bss[100000];
static const char *const texts[] = {"one", "two", "three"};
static int (*const functions[])(const char *) = {puts, atoi};

__attribute__((constructor(102))) static void second(void) {
    order[n++] = 2;
}

__attribute__((constructor(101))) static void first(void) {
    order[n++] = 1;
}

__attribute__((destructor)) static void last(void) {
    say("destructor");
}

int main(void) {
    say("constructors %d %d", order[0], order[1]);
    long sum = 0;
    for (size_t i = 0; i < sizeof bss; i++) sum += bss[i];
    SHOW_NUMBER(sum);
    say("%s %s %s %d", texts[0], texts[1], texts[2], functions[1]("42"));
    return 0;
}
