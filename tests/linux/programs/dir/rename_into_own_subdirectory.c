// A directory cannot move below itself.
#include "show.h"

int main(void) {
    MUST(mkdir("a", 0755));
    MUST(mkdir("a/b", 0755));
    SHOW(rename("a", "a/c"));
    SHOW(rename("a", "a/b/c"));
    SHOW(rename("a", "a/b"));
    SHOW(rename("a/b", "a"));
    SHOW(rename("a", "a"));
    SHOW(rename("a/b", "b"));
    SHOW(rename("a", "b/a"));
    show_path("b/a");
    return 0;
}
