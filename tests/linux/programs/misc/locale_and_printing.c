// The C library's own work: formatting, sorting, environment, time zones, regular expressions.
#include "show.h"
#include <math.h>
#include <regex.h>

static int compare(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

int main(void) {
    int values[] = {5, 3, 9, 1, 7};
    qsort(values, 5, sizeof *values, compare);
    say("%d %d %d %d %d", values[0], values[1], values[2], values[3], values[4]);
    say("%.10g %e %a %5.2f", 1.0 / 3, 123456.789, 0.1, 2.5);
    setenv("CASEMATE_TEST", "set", 1);
    say("%s", getenv("CASEMATE_TEST"));
    setenv("TZ", "UTC0", 1);
    time_t t = 1000000000;
    char text[64];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", localtime(&t));
    say("%s", text);
    regex_t r;
    SHOW_NUMBER(regcomp(&r, "^[a-z]+([0-9]*)$", REG_EXTENDED));
    SHOW_NUMBER(regexec(&r, "abc123", 0, NULL, 0));
    SHOW_NUMBER(regexec(&r, "ABC", 0, NULL, 0));
    return 0;
}
