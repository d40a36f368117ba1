// Reading a script from standard input: one call a line, words separated by blanks, '' for the empty word.
#ifndef SCRIPT_H
#define SCRIPT_H
#include "show.h"

enum { MAX_WORDS = 8 };

struct command {
    const char *name;
    void (*run)(char **words);
};

static inline char *read_script(void) {
    size_t room = 1 << 20, length = 0;
    char *text = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long n;
    while (length + 1 < room && (n = MUST(read(0, text + length, room - 1 - length))) > 0) length += n;
    return text;
}

static inline void run_line(char *line, const struct command *commands) {
    char *words[MAX_WORDS + 1], *rest = line;
    int n = 0;
    for (char *word; n < MAX_WORDS && (word = strsep(&rest, " "));)
        words[n++] = strcmp(word, "''") ? word : "";
    while (n <= MAX_WORDS) words[n++] = "0";
    for (const struct command *c = commands; c->name; c++)
        if (!strcmp(c->name, words[0])) {
            c->run(words + 1);
            return;
        }
    say("unknown call: %s", words[0]);
    _exit(97);
}

static inline void run_script(char *text, const struct command *commands) {
    for (char *line; (line = strsep(&text, "\n"));)
        if (*line) run_line(line, commands);
}

// FNV-1a, to compare contents without printing them.
static inline uint64_t hash(const void *data, size_t length) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++) h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
    return h;
}

static inline long number(const char *word) {
    return strtol(word, NULL, 0);
}
#endif
