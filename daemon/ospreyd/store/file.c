/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of a store and the files in it.  Nobody but this user may be able to put a file there or to change one, so
 * what was checked once stays so; two daemons cannot use one state.mdb even if they come to it by different ways.
 */
#include "daemon/ospreyd/store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAY_OUT \
    "move the directory aside and give --recover-state, or provision new keys for all contexts; never go on with an older copy"
#define SUM_MAGIC "osprey-sum-1"
#define SUM_LEN (sizeof(SUM_MAGIC) - 1 + 24)
#define CHUNK ((size_t)1 << 18)

enum osp_err
osp_store_say(const struct osp_store_place *p, char why[OSP_STORE_WHY_MAX], const char *format, ...)
{
    va_list args;
    int     n = snprintf(why, OSP_STORE_WHY_MAX, "state %.300s: ", p->name);

    va_start(args, format);
    (void)vsnprintf(why + n, OSP_STORE_WHY_MAX - (size_t)n, format, args);
    va_end(args);
    return OSP_E_STORE;
}

enum osp_err
osp_store_say_damaged(const struct osp_store_place *p, char why[OSP_STORE_WHY_MAX], const char *what)
{
    return osp_store_say(p, why, "damaged (%s); " WAY_OUT, what);
}

/* ---- whose it is ---- */

/* OSP_E_STORE: other users can change the file or directory `fd`, or put another one in its place. */
static enum osp_err
check_owner(const struct osp_store_place *p, int fd, const char *name, mode_t type, char why[OSP_STORE_WHY_MAX])
{
    struct stat st;

    if (fstat(fd, &st) != 0 || (st.st_mode & S_IFMT) != type)
        return osp_store_say(p, why, "%s is not a %s; move it away", name, type == S_IFDIR ? "directory" : "regular file");
    if (st.st_uid != geteuid())
        return osp_store_say(p, why, "%s belongs to user %u, and this is user %u; the user of the daemon must own it", name,
                             (unsigned)st.st_uid, (unsigned)geteuid());
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return osp_store_say(p, why, "%s has mode %04o, so others may write to it; chmod go-w, if nobody did", name,
                             (unsigned)(st.st_mode & 07777));
    return OSP_OK;
}

/* ---- locks ---- */

/* Reads which process holds the lock: it wrote its number into the file `lock`. */
static enum osp_err
say_in_use(const struct osp_store_place *p, char why[OSP_STORE_WHY_MAX])
{
    char    pid[16] = "";
    ssize_t n = pread(p->lock, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return osp_store_say(p, why, "in use by process %s; stop it, or give this one a directory of its own",
                         *pid ? pid : "(unknown)");
}

static enum osp_err
cannot_use(const struct osp_store_place *p, const char *name, int error, const char *advice, char why[OSP_STORE_WHY_MAX])
{
    return osp_store_say(p, why, "%s%scannot be used: %s; %s", name, *name ? " " : "",
                         error == ELOOP ? "it is a symbolic link" : strerror(error), advice);
}

static enum osp_err
take_lock(struct osp_store_place *p, char why[OSP_STORE_WHY_MAX])
{
    char         pid[16];
    int          n;
    enum osp_err e;

    p->lock = openat(p->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->lock == -1)
        return cannot_use(p, "lock", errno, "this user must be able to write to the directory", why);
    e = check_owner(p, p->lock, "lock", S_IFREG, why);
    if (e != OSP_OK)
        return e;
    if (flock(p->lock, LOCK_EX | LOCK_NB) != 0)
        return say_in_use(p, why);
    n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(p->lock, 0) != 0 || pwrite(p->lock, pid, (size_t)n, 0) != n)
        (void)0; /* the number only helps the operator */
    return OSP_OK;
}

enum osp_err
osp_store_place_open(const char *dir, struct osp_store_place *p, char why[OSP_STORE_WHY_MAX])
{
    size_t       n = strlen(dir);
    enum osp_err e;

    while (n > 1 && dir[n - 1] == '/')
        n--; /* with a slash at the end a symbolic link would be followed */
    p->dir = p->lock = p->file = -1;
    if ((size_t)snprintf(p->name, sizeof(p->name), "%.*s", (int)n, dir) >= sizeof(p->name) - sizeof(OSP_STORE_FILE_NEW)) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state: the directory's name is too long");
        return OSP_E_STORE;
    }
    p->dir = open(p->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (p->dir == -1) {
        struct stat st;
        bool        link = lstat(p->name, &st) == 0 && S_ISLNK(st.st_mode);

        return cannot_use(p, "", link ? ELOOP : errno, "it must be a directory that exists and that this user may write to", why);
    }
    e = check_owner(p, p->dir, "the directory", S_IFDIR, why);
    return e == OSP_OK ? take_lock(p, why) : e;
}

static void
close_fd(int *fd)
{
    if (*fd != -1)
        (void)close(*fd); /* the lock ends with the descriptor */
    *fd = -1;
}

void
osp_store_place_close(struct osp_store_place *p)
{
    close_fd(&p->file);
    close_fd(&p->lock);
    close_fd(&p->dir);
}

bool
osp_store_place_is_whole(const struct osp_store_place *p, size_t size)
{
    struct stat by_fd, by_name;

    return fstat(p->file, &by_fd) == 0 && fstatat(p->dir, OSP_STORE_FILE, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino && (uint64_t)by_fd.st_size >= size;
}

enum osp_err
osp_store_place_file(struct osp_store_place *p, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e;

    p->file = openat(p->dir, OSP_STORE_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (p->file == -1 && errno == ENOENT) {
        (void)osp_store_say(p, why, "there is no state.mdb in it");
        return OSP_E_NOT_FOUND;
    }
    if (p->file == -1)
        return cannot_use(p, OSP_STORE_FILE, errno, "this user must be able to read and write it", why);
    e = check_owner(p, p->file, OSP_STORE_FILE, S_IFREG, why);
    if (e != OSP_OK)
        return e;
    /* Somebody may have removed the file `lock`, or another process may be replacing the store: so its file is locked, too. */
    return flock(p->file, LOCK_EX | LOCK_NB) == 0 && osp_store_place_is_whole(p, 0) ? OSP_OK : say_in_use(p, why);
}

/* ---- a new file ---- */

enum osp_err
osp_store_place_new(const struct osp_store_place *p, int *fd, char why[OSP_STORE_WHY_MAX])
{
    (void)unlinkat(p->dir, OSP_STORE_FILE_NEW, 0); /* left by a start that was killed */
    *fd = openat(p->dir, OSP_STORE_FILE_NEW, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd == -1)
        return cannot_use(p, OSP_STORE_FILE_NEW, errno, "this user must be able to write to the directory", why);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return OSP_OK;
    osp_store_place_drop(p, *fd);
    return say_in_use(p, why);
}

void
osp_store_place_drop(const struct osp_store_place *p, int fd)
{
    (void)close(fd);
    (void)unlinkat(p->dir, OSP_STORE_FILE_NEW, 0);
}

enum osp_err
osp_store_place_take(struct osp_store_place *p, int fd, char why[OSP_STORE_WHY_MAX])
{
    if (fsync(fd) != 0 || renameat(p->dir, OSP_STORE_FILE_NEW, p->dir, OSP_STORE_FILE) != 0) {
        enum osp_err e = cannot_use(p, OSP_STORE_FILE_NEW, errno, "check the disk", why);

        osp_store_place_drop(p, fd);
        return e;
    }
    close_fd(&p->file);
    p->file = fd;
    return fsync(p->dir) == 0 ? OSP_OK : cannot_use(p, "", errno, "check the disk", why);
}

enum osp_err
osp_store_place_fill(const struct osp_store_place *p, int fd, size_t size, char why[OSP_STORE_WHY_MAX])
{
    int rc = posix_fallocate(fd, 0, (off_t)size);

    if (rc == 0 && (fsync(fd) != 0 || fsync(p->dir) != 0))
        rc = errno;
    if (rc == 0)
        return OSP_OK;
    return osp_store_say(p, why, "no room for %zu bytes: %s; free space, or lower state-size", size, strerror(rc));
}

/* ---- the hash of the file as a whole ---- */

static bool
hash_file(int fd, uint64_t length, struct osp_store_sum *out)
{
    static const struct osp_hash_key fixed = { 0x66696c652d73756du, 0x6f73707265792d31u };
    struct osp_hash128               h = osp_hash_begin(&fixed);
    uint8_t                         *buf = malloc(CHUNK);
    uint64_t                         at = 0;

    while (buf && at < length) {
        size_t n = length - at < CHUNK ? (size_t)(length - at) : CHUNK;

        if (pread(fd, buf, n, (off_t)at) != (ssize_t)n)
            break;
        osp_hash_piece(&h, osp_slice(buf, n));
        at += n;
    }
    free(buf);
    osp_hash_word(&h, length);
    osp_hash_end(&h, out->w);
    return at == length;
}

static struct osp_slice
encode_sum(uint64_t length, struct osp_store_sum sum, uint8_t dst[SUM_LEN])
{
    struct osp_wr w = osp_wr_to(dst, SUM_LEN);

    osp_wr_put(&w, osp_slice_str(SUM_MAGIC));
    osp_wr_uint(&w, length, 8);
    osp_wr_uint(&w, sum.w[0], 8);
    osp_wr_uint(&w, sum.w[1], 8);
    return osp_wr_slice(&w);
}

void
osp_store_place_sum(const struct osp_store_place *p, size_t length)
{
    uint8_t              bytes[SUM_LEN];
    struct osp_store_sum sum;
    int                  fd;

    if (!hash_file(p->file, length, &sum))
        return;
    (void)encode_sum(length, sum, bytes);
    fd = openat(p->dir, OSP_STORE_FILE_SUM, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1)
        return;
    if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        (void)0; /* then the plate matches no file, and the next open checks everything */
    (void)close(fd);
}

bool
osp_store_place_is_same(const struct osp_store_place *p)
{
    uint8_t              was[SUM_LEN], now[SUM_LEN];
    struct osp_store_sum sum;
    struct osp_rd        r = osp_rd_from(osp_slice(was, sizeof(was)));
    struct stat          st;
    uint64_t             length;
    int                  fd = openat(p->dir, OSP_STORE_FILE_SUM, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool                 read = fd != -1 && pread(fd, was, sizeof(was), 0) == (ssize_t)sizeof(was);

    close_fd(&fd);
    if (!read || fstat(p->file, &st) != 0)
        return false;
    (void)osp_rd_take(&r, sizeof(SUM_MAGIC) - 1);
    length = osp_rd_uint(&r, 8);
    if (length == 0 || length > (uint64_t)st.st_size || !hash_file(p->file, length, &sum))
        return false;
    (void)encode_sum(length, sum, now);
    return memcmp(was, now, sizeof(was)) == 0;
}
