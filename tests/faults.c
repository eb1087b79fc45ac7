/* Preloaded into a process: counts what it does to files below a folder, and at the n-th operation lets it
 * fail, or kills the process there. Also a list of all that is written, made, removed and connected to.
 *
 * Built and armed by nursery.py. Linux with glibc only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, RENAME = 4, MKDIR = 8, CREATE = 16, UNLINK = 32 };
enum { OFF, FAIL_ONCE, FAIL_FROM, KILL_BEFORE, KILL_AFTER, KILL_TORN };

static char prefix[4096];
static long at = -1;
static int mode = OFF, error_number = EIO, classes = 0, log_fd = -1;
static atomic_long counted = 0;
static atomic_int happened = 0;

/* Called from Python through ctypes. */
void faults_arm(const char *folder, long n, int how, int error, int which) {
    strncpy(prefix, folder, sizeof prefix - 1);
    at = n; mode = how; error_number = error; classes = which;
    atomic_store(&counted, 0); atomic_store(&happened, 0);
}
void faults_log(const char *file) {
    log_fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
}
long faults_counted(void) { return atomic_load(&counted); }
int faults_happened(void) { return atomic_load(&happened); }

static void path_at(int dirfd, const char *path, char *out, size_t size) {
    char folder[2048] = "", link[64];
    if (path[0] != '/') {
        if (dirfd == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t n = readlink(link, folder, sizeof folder - 1);
        if (n > 0) folder[n] = 0;
    }
    snprintf(out, size, "%s%s%s", folder, folder[0] && path[0] ? "/" : "", path);
}

static void noted(const char *what, const char *path) {
    if (log_fd < 0) return;
    char line[5000];
    int n = snprintf(line, sizeof line, "%s %s\n", what, path);
    if (n > 0) (void)!syscall(SYS_write, log_fd, line, (size_t)n < sizeof line ? n : sizeof line - 1);
}

/* 0: go on; 1: fail with errno set; 2: do it, then die; 3: do half of it, then die. */
static int meets(int which, const char *what, const char *path) {
    noted(what, path);
    if (mode == OFF || !(which & classes) || strncmp(path, prefix, strlen(prefix))) return 0;
    long n = atomic_fetch_add(&counted, 1) + 1;
    if (n != at && !(mode == FAIL_FROM && at > 0 && n > at)) return 0;
    if (mode == FAIL_ONCE || mode == FAIL_FROM) {
        atomic_store(&happened, 1);
        errno = error_number;
        return 1;
    }
    if (mode == KILL_BEFORE) { kill(getpid(), SIGKILL); pause(); }
    return mode == KILL_AFTER ? 2 : 3;
}
static void die(void) { kill(getpid(), SIGKILL); pause(); }

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
#define DO(call) do { if (fate == 1) return -1; __auto_type r = call; if (fate >= 2) die(); return r; } while (0)

static int on_fd(int which, const char *what, int fd) {
    if (fd == log_fd) return 0;
    char path[4096];
    path_at(fd, "", path, sizeof path);
    if (path[0] != '/') return 0; /* a pipe or a socket */
    return meets(which, what, path);
}

#define WRITER(name, args, call, half) \
    ssize_t name args { REAL(ssize_t, name, PROTO_##name); \
        int fate = on_fd(WRITE, "write", fd); \
        if (fate == 3) { half; die(); } \
        DO(call); }
#define PROTO_write int, const void *, size_t
#define PROTO_pwrite int, const void *, size_t, off_t
#define PROTO_pwrite64 int, const void *, size_t, off64_t
#define PROTO_writev int, const struct iovec *, int
WRITER(write, (int fd, const void *b, size_t n), real(fd, b, n), (void)!real(fd, b, n / 2))
WRITER(pwrite, (int fd, const void *b, size_t n, off_t o), real(fd, b, n, o), (void)!real(fd, b, n / 2, o))
WRITER(pwrite64, (int fd, const void *b, size_t n, off64_t o), real(fd, b, n, o), (void)!real(fd, b, n / 2, o))
WRITER(writev, (int fd, const struct iovec *v, int n), real(fd, v, n), (void)!real(fd, v, n / 2))

#define ON_FD(name, which) int name(int fd) { REAL(int, name, int); \
    int fate = on_fd(which, #name, fd); DO(real(fd)); }
ON_FD(fsync, SYNC)
ON_FD(fdatasync, SYNC)

#define TRUNCATE(name, off) int name(int fd, off size) { REAL(int, name, int, off); \
    int fate = on_fd(WRITE, "truncate", fd); DO(real(fd, size)); }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ON_PATH(which, what, dirfd, path) char full[4096]; path_at(dirfd, path, full, sizeof full); \
    int fate = meets(which, what, full)

int rename(const char *a, const char *b) { REAL(int, rename, const char *, const char *);
    ON_PATH(RENAME, "rename", AT_FDCWD, b); DO(real(a, b)); }
int renameat(int d, const char *a, int e, const char *b) {
    REAL(int, renameat, int, const char *, int, const char *);
    ON_PATH(RENAME, "rename", e, b); DO(real(d, a, e, b)); }
int renameat2(int d, const char *a, int e, const char *b, unsigned f) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    ON_PATH(RENAME, "rename", e, b); DO(real(d, a, e, b, f)); }
int link(const char *a, const char *b) { REAL(int, link, const char *, const char *);
    ON_PATH(RENAME, "link", AT_FDCWD, b); DO(real(a, b)); }
int linkat(int d, const char *a, int e, const char *b, int f) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    ON_PATH(RENAME, "link", e, b); DO(real(d, a, e, b, f)); }
int symlink(const char *a, const char *b) { REAL(int, symlink, const char *, const char *);
    ON_PATH(CREATE, "symlink", AT_FDCWD, b); DO(real(a, b)); }
/* A folder that is there already is no operation: the kernel says so without looking at the disk. */
static int absent(int dirfd, const char *path) {
    struct stat seen;
    return fstatat(dirfd, path, &seen, AT_SYMLINK_NOFOLLOW) != 0;
}
int mkdir(const char *p, mode_t m) { REAL(int, mkdir, const char *, mode_t);
    if (!absent(AT_FDCWD, p)) return real(p, m);
    ON_PATH(MKDIR, "mkdir", AT_FDCWD, p); DO(real(p, m)); }
int mkdirat(int d, const char *p, mode_t m) { REAL(int, mkdirat, int, const char *, mode_t);
    if (!absent(d, p)) return real(d, p, m);
    ON_PATH(MKDIR, "mkdir", d, p); DO(real(d, p, m)); }
int unlink(const char *p) { REAL(int, unlink, const char *);
    ON_PATH(UNLINK, "unlink", AT_FDCWD, p); DO(real(p)); }
int unlinkat(int d, const char *p, int f) { REAL(int, unlinkat, int, const char *, int);
    ON_PATH(UNLINK, "unlink", d, p); DO(real(d, p, f)); }
int rmdir(const char *p) { REAL(int, rmdir, const char *);
    ON_PATH(UNLINK, "rmdir", AT_FDCWD, p); DO(real(p)); }
int chmod(const char *p, mode_t m) { REAL(int, chmod, const char *, mode_t);
    ON_PATH(0, "chmod", AT_FDCWD, p); DO(real(p, m)); }

/* Opening is an operation when it makes a file that is not there; for writing it is noted in any case. */
static int opening(int dirfd, const char *path, int flags) {
    if (!(flags & (O_CREAT | O_WRONLY | O_RDWR))) return 0;
    char full[4096];
    path_at(dirfd, path, full, sizeof full);
    return meets((flags & O_CREAT) && absent(dirfd, path) ? CREATE : 0, "open", full);
}
#define MODE_OF(flags) mode_t m = 0; if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list more; va_start(more, flags); m = va_arg(more, mode_t); va_end(more); }
#define OPEN(name) int name(const char *p, int flags, ...) { REAL(int, name, const char *, int, ...); \
    MODE_OF(flags) int fate = opening(AT_FDCWD, p, flags); DO(real(p, flags, m)); }
#define OPENAT(name) int name(int d, const char *p, int flags, ...) { \
    REAL(int, name, int, const char *, int, ...); \
    MODE_OF(flags) int fate = opening(d, p, flags); DO(real(d, p, flags, m)); }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* Connections are only noted: family and port. */
static void address(const char *what, const struct sockaddr *to) {
    char text[64];
    const unsigned char *bytes = (const unsigned char *)to->sa_data;
    if (to->sa_family == AF_UNIX) return;
    snprintf(text, sizeof text, "%d %d.%d.%d.%d", to->sa_family, bytes[2], bytes[3], bytes[4], bytes[5]);
    noted(what, text);
}
int connect(int s, const struct sockaddr *to, socklen_t n) {
    REAL(int, connect, int, const struct sockaddr *, socklen_t); address("connect", to); return real(s, to, n); }
int bind(int s, const struct sockaddr *to, socklen_t n) {
    REAL(int, bind, int, const struct sockaddr *, socklen_t); address("bind", to); return real(s, to, n); }
