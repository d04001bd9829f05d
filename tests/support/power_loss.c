/* Writes down what a program does to the files in one folder, so that a test can say what a power loss would have left.

   cc -shared -fPIC -O1 -o power_loss.so power_loss.c -ldl
   LD_PRELOAD=power_loss.so POWER_LOSS_FOLDER=/absolute POWER_LOSS_LOG=/elsewhere/log program ...

   A record: kind (1 byte), length of the path (2), offset (8), length (8), then the path and, of a write, the bytes; of a
   renaming both paths, a newline between them. Numbers are the machine's. A write is noted before it is done and a sync
   after: what a kill cuts in two counts as not synced. POWER_LOSS_AT=N kills the program at its Nth record.
   Records of all threads and processes stand in one file, in order. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 65536
#define WRITE 'w'
#define WRITE_SYNCED 'W'
#define SIZE 's'
#define RESERVE 'a'
#define SYNC 'f'
#define MADE 'm'
#define RENAMED 'r'
#define REMOVED 'u'

#define REAL(name) ((__typeof__(&name))real(#name))

static const char *folder, *forgetful;
static size_t folder_length;
static int log_file = -1;
static long left = -1;
static char *paths[MOST];
static char synced[MOST];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("POWER_LOSS_LOG");
    folder = getenv("POWER_LOSS_FOLDER");
    forgetful = getenv("POWER_LOSS_NO_SYNC");
    if (getenv("POWER_LOSS_AT")) left = atol(getenv("POWER_LOSS_AT"));
    if (folder && log) {
        folder_length = strlen(folder);
        log_file = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log_file < 0) abort();
        int high = fcntl(log_file, F_DUPFD_CLOEXEC, 500);
        if (high >= 0) { close(log_file); log_file = high; }
    }
}

static int followed(const char *path) {
    return log_file >= 0 && path && strncmp(path, folder, folder_length) == 0;
}

static void note(char kind, const char *path, uint64_t offset, const struct iovec *pieces, int count, uint64_t length) {
    char head[19];
    uint16_t named = (uint16_t)strlen(path);
    struct iovec *all = alloca(sizeof(struct iovec) * (size_t)(count + 2));
    head[0] = kind;
    memcpy(head + 1, &named, 2);
    memcpy(head + 3, &offset, 8);
    memcpy(head + 11, &length, 8);
    all[0] = (struct iovec){head, sizeof head};
    all[1] = (struct iovec){(void *)path, named};
    for (int i = 0; i < count; i++) all[2 + i] = pieces[i];
    size_t whole = sizeof head + named;
    for (int i = 0; i < count; i++) whole += pieces[i].iov_len;
    pthread_mutex_lock(&mutex);
    char *joined = malloc(whole), *at = joined;
    for (int i = 0; i < count + 2; i++) { memcpy(at, all[i].iov_base, all[i].iov_len); at += all[i].iov_len; }
    if (REAL(write)(log_file, joined, whole) != (ssize_t)whole) abort();
    free(joined);
    if (left > 0 && --left == 0) kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&mutex);
}

static const char *path_of(int file) { return file >= 0 && file < MOST ? paths[file] : NULL; }

static void note_write(int file, off_t offset, const struct iovec *pieces, int count) {
    uint64_t length = 0;
    for (int i = 0; i < count; i++) length += pieces[i].iov_len;
    note(synced[file] && !forgetful ? WRITE_SYNCED : WRITE, paths[file], (uint64_t)offset, pieces, count, length);
}

static void opened(int file, int flags, int is_new) {
    char link[64], path[PATH_MAX];
    if (log_file < 0 || file < 0 || file >= MOST) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    free(paths[file]);
    paths[file] = NULL;
    if (length <= 0) return;
    path[length] = 0;
    if (!followed(path)) return;
    paths[file] = strdup(path);
    synced[file] = (flags & (O_SYNC | O_DSYNC)) != 0;
    if (is_new) note(MADE, path, 0, NULL, 0, 0);
    else if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY) note(SIZE, path, 0, NULL, 0, 0);
}

static int is_missing(int at, const char *path) {
    struct stat found;
    return log_file >= 0 && fstatat(at, path, &found, 0) < 0 && errno == ENOENT;
}

#define OPEN(name, made, before, called)                              \
    {                                                                 \
        mode_t mode = 0;                                              \
        if (flags & (O_CREAT | O_TMPFILE)) {                          \
            va_list more;                                             \
            va_start(more, flags);                                    \
            mode = va_arg(more, mode_t);                              \
            va_end(more);                                             \
        }                                                             \
        int is_new = (flags & O_CREAT) && is_missing(before, path);   \
        int file = called;                                            \
        opened(file, flags, is_new);                                  \
        return file;                                                  \
    }

int open(const char *path, int flags, ...) OPEN(open, 0, AT_FDCWD, REAL(open)(path, flags, mode))
int open64(const char *path, int flags, ...) OPEN(open64, 0, AT_FDCWD, REAL(open64)(path, flags, mode))
int openat(int at, const char *path, int flags, ...) OPEN(openat, 0, at, REAL(openat)(at, path, flags, mode))
int openat64(int at, const char *path, int flags, ...) OPEN(openat64, 0, at, REAL(openat64)(at, path, flags, mode))

int close(int file) {
    if (path_of(file)) { free(paths[file]); paths[file] = NULL; }
    return REAL(close)(file);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    struct iovec piece = {(void *)data, size};
    if (path_of(file)) note_write(file, offset, &piece, 1);
    return REAL(pwrite)(file, data, size, offset);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) { return pwrite(file, data, size, offset); }

ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t offset) {
    if (path_of(file)) note_write(file, offset, pieces, count);
    return REAL(pwritev)(file, pieces, count, offset);
}
ssize_t pwritev64(int file, const struct iovec *pieces, int count, off64_t offset) {
    return pwritev(file, pieces, count, offset);
}
ssize_t pwritev2(int file, const struct iovec *pieces, int count, off_t offset, int flags) {
    if (path_of(file)) note_write(file, offset, pieces, count);
    return REAL(pwritev2)(file, pieces, count, offset, flags);
}
ssize_t pwritev64v2(int file, const struct iovec *pieces, int count, off64_t offset, int flags) {
    return pwritev2(file, pieces, count, offset, flags);
}

static off_t place(int file) {
    if (fcntl(file, F_GETFL) & O_APPEND) {
        struct stat found;
        return fstat(file, &found) ? 0 : found.st_size;
    }
    return lseek(file, 0, SEEK_CUR);
}

ssize_t write(int file, const void *data, size_t size) {
    struct iovec piece = {(void *)data, size};
    if (path_of(file)) note_write(file, place(file), &piece, 1);
    return REAL(write)(file, data, size);
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
    if (path_of(file)) note_write(file, place(file), pieces, count);
    return REAL(writev)(file, pieces, count);
}

int ftruncate(int file, off_t size) {
    if (path_of(file)) note(SIZE, paths[file], (uint64_t)size, NULL, 0, 0);
    return REAL(ftruncate)(file, size);
}
int ftruncate64(int file, off64_t size) { return ftruncate(file, size); }

int posix_fallocate(int file, off_t offset, off_t length) {
    int failed = REAL(posix_fallocate)(file, offset, length);
    if (!failed && path_of(file)) note(RESERVE, paths[file], (uint64_t)(offset + length), NULL, 0, 0);
    return failed;
}
int posix_fallocate64(int file, off64_t offset, off64_t length) { return posix_fallocate(file, offset, length); }

static int flushed(int file, int result) {
    if (!result && path_of(file) && !forgetful) note(SYNC, paths[file], 0, NULL, 0, 0);
    return result;
}
int fsync(int file) { return flushed(file, REAL(fsync)(file)); }
int fdatasync(int file) { return flushed(file, REAL(fdatasync)(file)); }

static int moved(int result, const char *old, const char *new) {
    if (!result && (followed(old) || followed(new))) {
        char both[2 * PATH_MAX];
        size_t length = strlen(old);
        memcpy(both, old, length);
        both[length] = '\n';
        strcpy(both + length + 1, new);
        note(RENAMED, both, 0, NULL, 0, 0);
    }
    return result;
}
int rename(const char *old, const char *new) { return moved(REAL(rename)(old, new), old, new); }
int renameat(int from, const char *old, int to, const char *new) {
    return moved(REAL(renameat)(from, old, to, new), old, new);
}

static int removed(int result, const char *path) {
    if (!result && followed(path)) note(REMOVED, path, 0, NULL, 0, 0);
    return result;
}
int unlink(const char *path) { return removed(REAL(unlink)(path), path); }
int unlinkat(int at, const char *path, int flags) { return removed(REAL(unlinkat)(at, path, flags), path); }
