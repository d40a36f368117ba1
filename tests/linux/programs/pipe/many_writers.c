// Small writes from four threads never mix inside one pipe.
#include "show.h"

static int ends[2];

static void *writer(void *which) {
    char record[16];
    memset(record, 'a' + (intptr_t)which, sizeof record);
    for (int i = 0; i < 2000; i++) MUST(write(ends[1], record, sizeof record));
    return NULL;
}

int main(void) {
    MUST(pipe(ends));
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) threads[i] = start_thread(writer, (void *)i);
    int counts[4] = {0}, mixed = 0;
    char record[16];
    for (int i = 0; i < 8000; i++) {
        MUST(read(ends[0], record, sizeof record));
        for (int k = 1; k < 16; k++) mixed += record[k] != record[0];
        counts[record[0] - 'a']++;
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    say("%d %d %d %d mixed %d", counts[0], counts[1], counts[2], counts[3], mixed);
    return 0;
}
