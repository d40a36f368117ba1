// The C library's own buffering over our calls: seek, append, ungetc, update mode.
#include "show.h"

int main(void) {
    FILE *f = fopen("file", "w+");
    fprintf(f, "line %d\nline %d\n", 1, 2);
    rewind(f);
    char line[32];
    while (fgets(line, sizeof line, f)) show_bytes("line", line, strlen(line));
    SHOW_NUMBER(ftell(f));
    fseek(f, 5, SEEK_SET);
    fputc('X', f);
    fseek(f, 0, SEEK_SET);
    SHOW_NUMBER(fread(line, 1, sizeof line, f));
    show_bytes("all", line, 14);
    SHOW_NUMBER(feof(f) != 0);
    fclose(f);
    f = fopen("file", "a");
    fputs("appended", f);
    SHOW_NUMBER(ftell(f));
    fclose(f);
    show_content("file");
    SHOW_TRUE(fopen("missing", "r") == NULL);
    return 0;
}
