/* Makes the k-th file operation of this process under one folder fail, or kills the process there.
 *
 * Loaded with LD_PRELOAD, so that what SQLite and HDF5 do from C is met as well as what Python does.
 * Unarmed it only passes calls on. Armed by sis_fault_arm() (interposer.py calls it after a fork).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum operation { OPEN, WRITE, FSYNC, RENAME, UNLINK, TRUNCATE, MKDIR, N_OPERATIONS };
enum mode { COUNT, FAIL, SHORT, DIE_BEFORE, DIE_HALF_WAY, DIE_AFTER };

static char folder[PATH_MAX];
static size_t folder_length;
static int armed, wanted, how, code, lasting;
static long at;
static atomic_long seen[N_OPERATIONS], fired;

/* code_: errno of a failure;  lasting_: from then on nothing can be written, as on a full disk */
void sis_fault_arm(const char *folder_, int operation, long k, int mode, int code_, int lasting_) {
    for (int i = 0; i < N_OPERATIONS; i++) atomic_store(&seen[i], 0);
    atomic_store(&fired, 0);
    snprintf(folder, sizeof folder, "%s", folder_);
    folder_length = strlen(folder);
    wanted = operation; at = k; how = mode; code = code_; lasting = lasting_;
    armed = 1;
}

long sis_fault_seen(int operation) { return atomic_load(&seen[operation]); }
long sis_fault_fired(void) { return atomic_load(&fired); }

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

static int inside(const char *path) {
    return path && !strncmp(path, folder, folder_length) &&
           (path[folder_length] == '/' || !path[folder_length]);
}

static int descriptor_inside(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return inside(path);
}

/* What to do with this call; it is counted. */
static enum mode meet(enum operation operation) {
    long k = atomic_fetch_add(&seen[operation], 1) + 1;
    int hit = operation == (enum operation)wanted && k == at;
    int later = lasting && atomic_load(&fired) > 0 && (operation == WRITE || operation == MKDIR);
    if (how == COUNT || !(hit || later)) return COUNT;
    atomic_fetch_add(&fired, 1);
    if (how == DIE_BEFORE) die();
    return how;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* Calls that do one thing: fail, or die before or after it. */
#define GUARD(operation, is_ours, call) do { \
    if (!armed || !(is_ours)) return call; \
    enum mode m = meet(operation); \
    if (m == FAIL || m == SHORT) { errno = code; return -1; } \
    if (m == COUNT) return call; \
    (void)!call; die(); return -1; } while (0)

#define OPENS(name) int name(const char *path, int flags, ...) { \
    REAL(int, #name, const char *, int, ...); \
    va_list list; va_start(list, flags); mode_t bits = va_arg(list, mode_t); va_end(list); \
    GUARD(OPEN, inside(path), real(path, flags, bits)); }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) int name(int at_fd, const char *path, int flags, ...) { \
    REAL(int, #name, int, const char *, int, ...); \
    va_list list; va_start(list, flags); mode_t bits = va_arg(list, mode_t); va_end(list); \
    GUARD(OPEN, inside(path), real(at_fd, path, flags, bits)); }
OPENS_AT(openat)
OPENS_AT(openat64)

/* Writes can also be short, or torn by a death half way. */
#define WRITES(part, whole) do { \
    if (!armed || !descriptor_inside(fd)) return whole; \
    enum mode m = meet(WRITE); \
    if (m == FAIL) { errno = code; return -1; } \
    if (m == COUNT) return whole; \
    if (m == SHORT && n < 2) return whole; \
    if (m == SHORT) return part; \
    if (m == DIE_HALF_WAY) (void)!part; else (void)!whole; \
    die(); return -1; } while (0)

ssize_t write(int fd, const void *data, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    WRITES(real(fd, data, n / 2), real(fd, data, n));
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    WRITES(real(fd, data, n / 2, offset), real(fd, data, n, offset));
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    WRITES(real(fd, data, n / 2, offset), real(fd, data, n, offset));
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    GUARD(FSYNC, descriptor_inside(fd), real(fd));
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    GUARD(FSYNC, descriptor_inside(fd), real(fd));
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    GUARD(RENAME, inside(from) || inside(to), real(from, to));
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    GUARD(UNLINK, inside(path), real(path));
}
int ftruncate(int fd, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    GUARD(TRUNCATE, descriptor_inside(fd), real(fd, size));
}
int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    GUARD(TRUNCATE, descriptor_inside(fd), real(fd, size));
}
int mkdir(const char *path, mode_t bits) {
    REAL(int, "mkdir", const char *, mode_t);
    GUARD(MKDIR, inside(path), real(path, bits));
}

/* The clock of the day jumps by so many seconds once it was asked so often. */
static atomic_long asked;
static long jump_after = -1, jump_s;

void sis_clock_arm(long after, long seconds) {
    atomic_store(&asked, 0);
    jump_s = seconds;
    jump_after = after;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && jump_after >= 0 && atomic_fetch_add(&asked, 1) >= jump_after)
        now->tv_sec += jump_s;
    return result;
}
