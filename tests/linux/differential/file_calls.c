// Runs a script of file-system calls and prints each result; at the end, the whole tree.
#include "script.h"
#include <dirent.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>

enum { SLOTS = 8, BUFFER = 1 << 16 };
static int slots[SLOTS];
static char buffer[BUFFER], start_path[PATH_MAX];
static int line, start;

static void result(const char *what, long r) {
    int error = errno;
    line++;
    if (r < 0) say("%d %s: %s", line, what, errno_name(error));
    else say("%d %s: %ld", line, what, r);
}

static void result_with_data(const char *what, long r) {
    int error = errno;
    line++;
    if (r < 0) say("%d %s: %s", line, what, errno_name(error));
    else say("%d %s: %ld %016lx", line, what, r, (unsigned long)hash(buffer, r));
}

static void result_with_stat(const char *what, long r, const struct stat *st) {
    char text[64];
    if (r < 0) {
        result(what, r);
        return;
    }
    snprintf(text, sizeof text, "%d %s", ++line, what);
    show_stat(text, st);
}

static int slot(const char *word) {
    return slots[number(word) % SLOTS];
}

static long length_of(const char *word) {
    long n = number(word);
    return n < 0 || n > BUFFER ? BUFFER : n;
}

static void fill(long length, int seed) {
    for (long i = 0; i < length; i++) buffer[i] = seed + i * 7 + i / 251;
}

static void do_open(char **w) {
    int *to = &slots[number(w[0]) % SLOTS];
    int fd = open(w[1], number(w[2]), number(w[3]));
    result("open", fd);
    if (fd < 0) return;
    if (*to >= 0) close(*to);
    *to = fd;
}

static void do_close(char **w) {
    result("close", close(slot(w[0])));
    slots[number(w[0]) % SLOTS] = -1;
}

static void do_dup(char **w) {
    int *to = &slots[number(w[1]) % SLOTS];
    int fd = dup(slot(w[0]));
    result("dup", fd);
    if (fd < 0) return;
    if (*to >= 0) close(*to);
    *to = fd;
}

static void do_read(char **w) {
    result_with_data("read", read(slot(w[0]), buffer, length_of(w[1])));
}

static void do_pread(char **w) {
    result_with_data("pread", pread(slot(w[0]), buffer, length_of(w[1]), number(w[2])));
}

static void do_write(char **w) {
    fill(length_of(w[1]), number(w[2]));
    result("write", write(slot(w[0]), buffer, length_of(w[1])));
}

static void do_pwrite(char **w) {
    fill(length_of(w[1]), number(w[3]));
    result("pwrite", pwrite(slot(w[0]), buffer, length_of(w[1]), number(w[2])));
}

static void do_writev(char **w) {
    fill(300, number(w[1]));
    struct iovec v[3] = {{buffer, 100}, {buffer, 0}, {buffer + 100, 200}};
    result("writev", writev(slot(w[0]), v, 3));
}

static void do_lseek(char **w) {
    struct stat st;
    // Where a directory ends is its file system's own business.
    if (number(w[2]) == SEEK_END && fstat(slot(w[0]), &st) == 0 && S_ISDIR(st.st_mode)) return;
    result("lseek", lseek(slot(w[0]), number(w[1]), number(w[2])));
}

static void do_ftruncate(char **w) {
    result("ftruncate", ftruncate(slot(w[0]), number(w[1])));
}

static void do_truncate(char **w) {
    result("truncate", truncate(w[0], number(w[1])));
}

static void do_fallocate(char **w) {
    result("fallocate", fallocate(slot(w[0]), number(w[1]), number(w[2]), number(w[3])));
}

static void do_rename(char **w) {
    result("rename", syscall(SYS_renameat2, AT_FDCWD, w[0], AT_FDCWD, w[1], number(w[2])));
}

static void do_link(char **w) {
    result("link", link(w[0], w[1]));
}

static void do_symlink(char **w) {
    result("symlink", symlink(w[0], w[1]));
}

static void do_unlink(char **w) {
    result("unlink", unlink(w[0]));
}

static void do_mkdir(char **w) {
    result("mkdir", mkdir(w[0], number(w[1])));
}

static void do_rmdir(char **w) {
    result("rmdir", rmdir(w[0]));
}

static void do_mkfifo(char **w) {
    result("mkfifo", mkfifo(w[0], 0644));
}

static void do_stat(char **w) {
    struct stat st;
    result_with_stat("stat", stat(w[0], &st), &st);
}

static void do_lstat(char **w) {
    struct stat st;
    result_with_stat("lstat", lstat(w[0], &st), &st);
}

static void do_fstat(char **w) {
    struct stat st;
    result_with_stat("fstat", fstat(slot(w[0]), &st), &st);
}

static void do_readlink(char **w) {
    result_with_data("readlink", readlink(w[0], buffer, length_of(w[1])));
}

static void do_chmod(char **w) {
    result("chmod", chmod(w[0], number(w[1])));
}

static void do_access(char **w) {
    result("access", access(w[0], number(w[1])));
}

static void do_utimens(char **w) {
    struct timespec t[2] = {{number(w[1]), 0}, {number(w[2]), 5}};
    result("utimens", utimensat(AT_FDCWD, w[0], t, 0));
    struct stat st;
    if (stat(w[0], &st) == 0) say("  mtime %ld", (long)st.st_mtim.tv_sec);
}

// Never above the start, so that no sequence of calls climbs out of the directory that the program was given.
static void do_chdir(char **w) {
    char here[PATH_MAX];
    result("chdir", chdir(w[0]));
    if (getcwd(here, sizeof here) && strncmp(here, start_path, strlen(start_path))) {
        say("  back");
        MUST(fchdir(start));
    }
}

static void do_copy(char **w) {
    long length = number(w[2]);
    result("copy_file_range", syscall(SYS_copy_file_range, slot(w[0]), NULL, slot(w[1]), NULL, length, 0));
}

static void do_sendfile(char **w) {
    struct stat to, from;
    // sendfile moves pages, not bytes: of a file onto itself, what comes out depends on the file system's cache.
    if (!fstat(slot(w[0]), &to) && !fstat(slot(w[1]), &from) && to.st_ino == from.st_ino) return;
    result("sendfile", sendfile(slot(w[1]), slot(w[0]), NULL, number(w[2])));
}

static void do_setxattr(char **w) {
    result("setxattr", setxattr(w[0], w[1], w[2], strlen(w[2]), number(w[3])));
}

static void do_getxattr(char **w) {
    result_with_data("getxattr", getxattr(w[0], w[1], buffer, 100));
}

static void do_removexattr(char **w) {
    result("removexattr", removexattr(w[0], w[1]));
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void do_list(char **w) {
    struct dirent **entries;
    int n = scandir(w[0], &entries, NULL, by_name);
    result("list", n);
    for (int i = 0; i < n; i++) say("  %s %d", entries[i]->d_name, entries[i]->d_type);
}

static void show_tree(const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0) {
        say("%s: %s", path, errno_name(errno));
        return;
    }
    show_stat(path, &st);
    if (S_ISLNK(st.st_mode)) {
        show_bytes("  target", buffer, readlink(path, buffer, BUFFER));
    } else if (S_ISREG(st.st_mode)) {
        uint64_t h = 0;
        int fd = open(path, O_RDONLY);
        for (long n; (n = read(fd, buffer, BUFFER)) > 0;) h = h * 31 + hash(buffer, n);
        close(fd);
        say("  content %016lx", (unsigned long)h);
    } else if (S_ISDIR(st.st_mode)) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, by_name);
        for (int i = 0; i < n; i++) {
            char below[PATH_MAX];
            if (!strcmp(entries[i]->d_name, ".") || !strcmp(entries[i]->d_name, "..")) continue;
            snprintf(below, sizeof below, "%.3800s/%.255s", path, entries[i]->d_name);
            show_tree(below);
        }
    }
}

static const struct command commands[] = {
    {"open", do_open},         {"close", do_close},
    {"dup", do_dup},           {"read", do_read},
    {"pread", do_pread},       {"write", do_write},
    {"pwrite", do_pwrite},     {"writev", do_writev},
    {"lseek", do_lseek},       {"ftruncate", do_ftruncate},
    {"truncate", do_truncate}, {"fallocate", do_fallocate},
    {"rename", do_rename},     {"link", do_link},
    {"symlink", do_symlink},   {"unlink", do_unlink},
    {"mkdir", do_mkdir},       {"rmdir", do_rmdir},
    {"mkfifo", do_mkfifo},     {"stat", do_stat},
    {"lstat", do_lstat},       {"fstat", do_fstat},
    {"readlink", do_readlink}, {"chmod", do_chmod},
    {"access", do_access},     {"utimens", do_utimens},
    {"chdir", do_chdir},       {"copy", do_copy},
    {"sendfile", do_sendfile}, {"setxattr", do_setxattr},
    {"getxattr", do_getxattr}, {"removexattr", do_removexattr},
    {"list", do_list},         {NULL, NULL},
};

int main(void) {
    umask(022);
    for (int i = 0; i < SLOTS; i++) slots[i] = -1;
    int top = MUST(open(".", O_RDONLY | O_DIRECTORY));
    for (int depth = 0; depth < 12; depth++) {
        MUST(mkdir("0", 0755));
        MUST(chdir("0"));
    }
    start = MUST(open(".", O_RDONLY | O_DIRECTORY));
    MUST(syscall(SYS_getcwd, start_path, sizeof start_path));
    run_script(read_script(), commands);
    for (int i = 0; i < SLOTS; i++)
        if (slots[i] >= 0) {
            char text[16];
            snprintf(text, sizeof text, "slot %d", i);
            show_fd(text, slots[i]);
            say("  offset %ld", (long)lseek(slots[i], 0, SEEK_CUR));
        }
    MUST(fchdir(top));
    show_tree(".");
    return 0;
}
