// A path that was just looked up means at once what a change makes of it: of names, directories, links, rights, of the working
// directory and the root.
#include "show.h"
#include <sys/fsuid.h>

// Twice: what the first look-up found must not tell the second what to find.
static void look(const char *when, const char *path) {
    struct stat st;
    for (int i = 0; i < 2; i++) {
        if (stat(path, &st) < 0) say("%s: %s: %s", when, path, errno_name(errno));
        else if (S_ISDIR(st.st_mode)) say("%s: %s: directory", when, path);
        else say("%s: %s: %ld bytes, %ld links", when, path, (long)st.st_size, (long)st.st_nlink);
    }
}

static void names(void) {
    make_file("a", "1"), make_file("b", "22");
    look("made", "a");
    look("made", "b");
    MUST(rename("a", "b"));
    look("renamed over", "a");
    look("renamed over", "b");
    make_file("a", "333");
    look("made again", "a");
    MUST(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2 /* RENAME_EXCHANGE */));
    look("exchanged", "a");
    look("exchanged", "b");
    MUST(link("a", "c"));
    look("linked", "a");
    MUST(unlink("a"));
    look("unlinked", "a");
    look("unlinked", "c");
    MUST(mkdir("a", 0755));
    look("directory made", "a");
    look("directory made", "a/");
    look("directory made", "b/");
    MUST(rmdir("a"));
    look("directory removed", "a");
    make_file("c", "4444");
    look("written", "c");
    MUST(truncate("c", 7));
    look("cut", "c");
}

static void directories(void) {
    char deep[PATH_MAX + 8], here[PATH_MAX];
    MUST(mkdir("one", 0755)), MUST(mkdir("one/in", 0755)), MUST(mkdir("two", 0755)), MUST(mkdir("two/in", 0755));
    make_file("one/in/file", "1"), make_file("two/in/file", "22");
    look("made", "one/in/file");
    look("made", "two/in/file");
    MUST(rename("one", "three"));
    look("moved", "one/in/file");
    look("moved", "three/in/file");
    MUST(rename("two", "one"));
    look("moved", "one/in/file");
    MUST(symlink("one", "link"));
    look("linked", "link/in/file");
    MUST(unlink("link")), MUST(symlink("three", "link"));
    look("linked elsewhere", "link/in/file");
    look("linked elsewhere", "link/../one/in/file");
    MUST(chdir("one/in"));
    look("gone into", "file");
    MUST(chdir("../../three/in"));
    look("gone elsewhere", "file");
    MUST(getcwd(here, sizeof here) ? 0 : -1);
    snprintf(deep, sizeof deep, "%s/file", here);
    struct stat st;
    SHOW(stat(deep, &st));
    MUST(chdir("../.."));
    MUST(rename("three", "four"));
    SHOW(stat(deep, &st));
    SHOW(open(deep, O_RDONLY));
    SHOW(access(deep, F_OK));
}

static void descriptors(void) {
    int fd = MUST(open("four/in/file", O_RDONLY));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    look("open", "/proc/self/fd/0/none");
    struct stat st;
    SHOW(stat(path, &st));
    SHOW_NUMBER(st.st_size);
    int other = MUST(open("one/in/file", O_RDONLY));
    MUST(dup2(other, fd));
    SHOW(stat(path, &st));
    SHOW_NUMBER(st.st_size);
    MUST(close(fd)), MUST(close(other));
    SHOW(stat(path, &st));
}

static void rights(void) {
    MUST(chmod(".", 0755)), MUST(chmod("one", 0755));
    setfsuid(4711);
    look("as somebody", "one/in/file");
    setfsuid(0);
    MUST(chmod("one", 0700));
    look("closed, as root", "one/in/file");
    setfsuid(4711);
    look("closed, as somebody", "one/in/file");
    setfsuid(0);
    MUST(chmod("one", 0711));
    setfsuid(4711);
    look("open, as somebody", "one/in/file");
    setfsuid(0);
    MUST(chown("one", 4711, 4711)), MUST(chmod("one", 0077));
    look("for others only, as root", "one/in/file");
    setfsuid(4711);
    look("for others only, as its owner", "one/in/file");
    setfsuid(0);
}

static void root(void) {
    char here[PATH_MAX];
    MUST(mkdir("jail", 0755)), MUST(mkdir("jail/one", 0755)), MUST(mkdir("jail/one/in", 0755));
    make_file("jail/one/in/file", "55555");
    MUST(getcwd(here, sizeof here) ? 0 : -1);
    struct stat st;
    SHOW(stat(here, &st));
    look("outside", "/one/in/file");
    look("outside", "one/in/file");
    MUST(chroot("jail"));
    SHOW(stat(here, &st));
    look("inside", "/one/in/file");
    look("outside still", "one/in/file");
    MUST(chdir("/"));
    look("inside", "one/in/file");
}

static pthread_barrier_t step;

static void *looker(void *argument) {
    look("in a thread", "shared");
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    look("in a thread", "shared");
    return argument;
}

static void threads(void) {
    make_file("shared", "666666");
    look("in the other", "shared");
    pthread_barrier_init(&step, NULL, 2);
    pthread_t thread = start_thread(looker, NULL);
    pthread_barrier_wait(&step);
    MUST(unlink("shared"));
    pthread_barrier_wait(&step);
    pthread_join(thread, NULL);
}

int main(void) {
    names();
    directories();
    descriptors();
    threads();
    if (geteuid() == 0) {
        rights();
        root();
    }
    return 0;
}
