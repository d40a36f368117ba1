// Does what programs do with files, in the directory that is its first argument, and prints what came of it.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAY(call) ({ errno = 0; long result_ = (long)(call); printf("%s: %ld %s\n", #call, result_, result_ < 0 ? strerrorname_np(errno) : ""); result_; })

static char data[300000];

static void show(const char *path) {
    static char back[600000];
    int fd = open(path, O_RDONLY);
    long count = fd < 0 ? -1 : read(fd, back, sizeof back);
    unsigned sum = 0;
    for (long i = 0; i < count; i++) sum = sum * 31 + (unsigned char)back[i];
    struct stat about = {0};
    if (fd >= 0) fstat(fd, &about);
    printf("%s: %s, %ld bytes, size %ld, sum %x\n", path, count < 0 ? strerrorname_np(errno) : "read", count, (long)about.st_size, sum);
    if (fd >= 0) close(fd);
}

static void contents(void) {
    int fd = SAY(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
    SAY(write(fd, data, 10));
    SAY(pwrite(fd, data, 5000, 3000));
    SAY(pwrite(fd, data, 1, 290000));
    SAY(lseek(fd, 0, SEEK_CUR));
    SAY(lseek(fd, -5, SEEK_END));
    SAY(lseek(fd, 10, SEEK_DATA));
    SAY(lseek(fd, 300000, SEEK_DATA));
    SAY(lseek(fd, -1, SEEK_SET));
    SAY(ftruncate(fd, 4000));
    SAY(ftruncate(fd, 9000));
    SAY(ftruncate(fd, -1));
    SAY(posix_fallocate(fd, 8000, 3000));
    SAY(write(fd, NULL, 4));
    SAY(fsync(fd));
    show("a");
    SAY(close(fd));
    show("a");
    fd = SAY(open("a", O_WRONLY | O_APPEND));
    SAY(write(fd, data, 4096));
    SAY(pwrite(fd, "zz", 2, 0));
    SAY(read(fd, data, 1));
    SAY(close(fd));
    show("a");
    SAY(truncate("a", 100));
    show("a");
    SAY(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));
    fd = SAY(open("a", O_RDWR | O_TRUNC));
    show("a");
    SAY(write(fd, data, sizeof data));
    SAY(close(fd));
    show("a");
}

static void names(void) {
    SAY(mkdir("d", 0700));
    SAY(rename("a", "d/b"));
    show("a");
    show("d/b");
    int fd = SAY(open("d/b", O_RDWR));
    SAY(rename("d/b", "c"));
    SAY(pwrite(fd, "renamed", 7, 0));
    show("c");
    SAY(close(fd));
    show("c");
    int other = SAY(open("e", O_RDWR | O_CREAT, 0600));
    SAY(write(other, "other", 5));
    SAY(rename("c", "e"));
    SAY(pwrite(other, "gone", 4, 0));
    SAY(close(other));
    show("e");
    fd = SAY(open("e", O_RDWR));
    SAY(unlink("e"));
    SAY(pwrite(fd, "still", 5, 0));
    char back[6] = "";
    SAY(pread(fd, back, 5, 0));
    printf("%s\n", back);
    SAY(close(fd));
    show("e");
    SAY(rmdir("d"));
    SAY(rmdir("d"));
    SAY(unlink("none"));
    SAY(rename("none", "x"));
}

static void mappings(void) {
    int fd = SAY(open("m", O_RDWR | O_CREAT, 0600));
    SAY(write(fd, data, 20000));
    char *shared = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SAY(memcmp(shared, data, 20000));
    memcpy(shared + 10000, "through memory", 14);
    SAY(msync(shared, 20000, MS_SYNC));
    show("m");
    // Into a mapping of the very same file.
    SAY(pread(fd, shared + 12288, 4096, 0));
    SAY(msync(shared, 20000, MS_SYNC));
    SAY(close(fd));
    shared[19999] = '!';
    SAY(munmap(shared, 20000));
    show("m");
}

static void *writer(void *argument) {
    long number = (long)argument;
    int fd = open("t", O_WRONLY);
    for (int i = 0; i < 50; i++) pwrite(fd, data + number, 700, (i * 8 + number) * 700);
    close(fd);
    return NULL;
}

static void threads(void) {
    close(SAY(open("t", O_RDWR | O_CREAT, 0600)));
    pthread_t all[8];
    for (long i = 0; i < 8; i++) pthread_create(&all[i], NULL, writer, (void *)i);
    for (int i = 0; i < 8; i++) pthread_join(all[i], NULL);
    show("t");
}

static int name(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void listing(void) {
    char *found[20];
    int count = 0;
    DIR *all = opendir(".");
    for (struct dirent *entry; (entry = readdir(all));) found[count++] = strdup(entry->d_name);
    closedir(all);
    qsort(found, count, sizeof *found, name);
    for (int i = 0; i < count; i++) printf("%s\n", found[i]);
}

// What an ordinary directory would do.
static void refused(void) {
    close(open("a", O_RDWR | O_CREAT, 0600));
    mkdir("d", 0700);
    SAY(symlink("a", "l"));
    SAY(link("a", "h"));
    SAY(mkfifo("f", 0600));
    SAY(rename("d", "e"));
    listing();
}

int main(int argc, char **argv) {
    for (unsigned i = 0; i < sizeof data; i++) data[i] = i * i >> 7;
    if (argc < 2 || chdir(argv[1]) < 0) return 2;
    if (argc > 2 && !strcmp(argv[2], "show")) {
        for (int i = 3; i < argc; i++) show(argv[i]);
        return 0;
    }
    if (argc > 2 && !strcmp(argv[2], "key")) {
        show("secret");
        SAY(open("new", O_RDWR | O_CREAT, 0600));
        listing();
        char key[16];
        for (int i = 0; i < 16; i++) key[i] = i;
        int fd = SAY(open("/dev/attestation/keys/k", O_WRONLY));
        SAY(write(fd, key, 16));
        close(fd);
        show("secret");
        return 0;
    }
    if (argc > 2 && !strcmp(argv[2], "refused")) {
        refused();
        return 0;
    }
    contents();
    names();
    mappings();
    threads();
    listing();
    return 0;
}
