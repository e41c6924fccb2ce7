/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   slot     magic, number of the write, store, seq, high, inode and time of birth of the file, check over all of these
 *
 * The slot of a write is given by its number, so that one in the wrong place counts as damaged.
 */
#include "daemon/ospreyd/store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "daemon/ospreyd/store/file_id.h"

#define NAME "mark"
#define NAME_NEW "mark.new"
#define MAGIC "osprey-mark 1\n\n\n"
#define SLOT_LEN 80u
#define SLOT_AT(n) ((off_t)(((n) & 1) * 4096))  /* the slots are in different blocks of any disk */

/* An open mark.  `id` tells its file from copies, also from one that was restored under its name. */
struct osp_mark {
    int            file;        /* descriptor, with a lock on it */
    struct osp_file_id id;
    uint64_t       writes;
};

static const struct osp_hash_key fixed = { 0x6f73707265792d6du, 0x61726b2d76303120u };

static enum osp_err
say(char why[OSP_MARK_WHY_MAX], const char *dir, const char *what, const char *reason)
{
    (void)snprintf(why, OSP_MARK_WHY_MAX, "state-mark %s: %s%s%s", dir, what, *reason ? ": " : "", reason);
    return OSP_E_STORE;
}

/* ---- slots ---- */

static void
encode(uint64_t number, const struct osp_mark_value *v, struct osp_file_id id, uint8_t slot[SLOT_LEN])
{
    struct osp_wr w = osp_wr_to(slot, SLOT_LEN);

    osp_wr_put(&w, osp_slice(MAGIC, sizeof(MAGIC) - 1));
    osp_wr_uint(&w, number, 8);
    osp_wr_put(&w, osp_slice(v->store, sizeof(v->store)));
    osp_wr_uint(&w, v->seq, 8);
    osp_wr_uint(&w, v->high, 8);
    osp_wr_uint(&w, id.inode, 8);
    osp_wr_uint(&w, id.born, 8);
    osp_wr_uint(&w, osp_hash(&fixed, osp_wr_slice(&w)), 8);
}

static bool
decode(struct osp_slice slot, struct osp_file_id own, uint64_t *number, struct osp_mark_value *v)
{
    struct osp_rd  r = osp_rd_from(slot);
    struct osp_file_id id;
    bool           magic = osp_slice_eq(osp_rd_take(&r, sizeof(MAGIC) - 1), osp_slice(MAGIC, sizeof(MAGIC) - 1));

    *number = osp_rd_uint(&r, 8);
    (void)osp_slice_copy(osp_rd_take(&r, sizeof(v->store)), v->store, sizeof(v->store));
    v->seq = osp_rd_uint(&r, 8);
    v->high = osp_rd_uint(&r, 8);
    id.inode = osp_rd_uint(&r, 8);
    id.born = osp_rd_uint(&r, 8);
    v->is_copy = !osp_file_id_is_same(id, own);
    return magic && osp_rd_uint(&r, 8) == osp_hash(&fixed, osp_slice_head(slot, SLOT_LEN - 8)) && osp_rd_done(&r);
}

/* Chooses the later of the slots that are whole. */
static enum osp_err
read_slots(struct osp_mark *m, struct osp_mark_value *v)
{
    bool found = false;

    for (unsigned i = 0; i < 2; i++) {
        uint8_t               slot[SLOT_LEN];
        struct osp_mark_value one;
        uint64_t              number;

        if (pread(m->file, slot, sizeof(slot), SLOT_AT(i)) != (ssize_t)sizeof(slot))
            continue;
        if (!decode(osp_slice(slot, sizeof(slot)), m->id, &number, &one) || (number & 1) != i || (found && number < m->writes))
            continue;
        *v = one;
        m->writes = number;
        found = true;
    }
    return found ? OSP_OK : OSP_E_FORMAT;
}

static bool
write_slot(int file, struct osp_file_id id, uint64_t number, const struct osp_mark_value *v)
{
    uint8_t slot[SLOT_LEN];
    ssize_t n;

    encode(number, v, id, slot);
    n = pwrite(file, slot, sizeof(slot), SLOT_AT(number));
    if (n >= 0 && n < (ssize_t)sizeof(slot))
        errno = ENOSPC;
    return n == (ssize_t)sizeof(slot);
}

/* ---- the directory and the file ---- */

/* Checks that no other user can put another file in the place of this one. */
static bool
is_ours(int fd, mode_t type)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static enum osp_err
open_dir(const char *dir, int *out, char why[OSP_MARK_WHY_MAX])
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd == -1) {
        bool absent = errno == ENOENT;

        (void)say(why, dir, absent ? "there is none" : "cannot be used", absent ? "" : strerror(errno));
        return absent ? OSP_E_NOT_FOUND : OSP_E_STORE;
    }
    if (is_ours(fd, S_IFDIR)) {
        *out = fd;
        return OSP_OK;
    }
    (void)close(fd);
    return say(why, dir, "must be a directory that belongs to this user and that nobody else may write to", "");
}

static enum osp_err
open_file(int dir_fd, const char *dir, int *out, char why[OSP_MARK_WHY_MAX])
{
    int fd = openat(dir_fd, NAME, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd == -1) {
        bool absent = errno == ENOENT;

        (void)say(why, dir, absent ? "there is none" : "the mark cannot be used", absent ? "" : strerror(errno));
        return absent ? OSP_E_NOT_FOUND : OSP_E_STORE;
    }
    *out = fd;
    if (!is_ours(fd, S_IFREG))
        return say(why, dir, "the mark must be a file that belongs to this user and that nobody else may write to", "");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return say(why, dir, "in use by another process", "");
    return OSP_OK;
}

enum osp_err
osp_mark_open(const char *dir, struct osp_mark **out, struct osp_mark_value *v, char why[OSP_MARK_WHY_MAX])
{
    struct osp_mark *m = calloc(1, sizeof(*m));
    int              dir_fd = -1;
    enum osp_err     e;

    if (!m)
        return say(why, dir, "out of memory", "");
    m->file = -1;
    e = open_dir(dir, &dir_fd, why);
    if (e == OSP_OK)
        e = open_file(dir_fd, dir, &m->file, why);
    if (e == OSP_OK) {
        m->id = osp_file_id_of(m->file);
        e = read_slots(m, v);
    }
    if (e == OSP_E_FORMAT)
        (void)say(why, dir, "damaged (the mark does not read back)", "");
    if (dir_fd != -1)
        (void)close(dir_fd);
    if (e != OSP_OK) {
        osp_mark_close(m);
        return e;
    }
    *out = m;
    return OSP_OK;
}

/* Writes a new file with both slots, which is durable before it gets its name. */
static bool
write_new(int dir_fd, const struct osp_mark_value *v)
{
    int            fd = openat(dir_fd, NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct osp_file_id id = osp_file_id_of(fd);
    bool           ok = fd != -1 && write_slot(fd, id, 0, v) && write_slot(fd, id, 1, v) && fsync(fd) == 0;

    if (fd != -1 && close(fd) != 0)
        ok = false;
    return ok;
}

enum osp_err
osp_mark_create(const char *dir, bool replace, const struct osp_mark_value *v, char why[OSP_MARK_WHY_MAX])
{
    int          fd = -1, rc;
    enum osp_err e;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return say(why, dir, "cannot be made", strerror(errno));
    e = open_dir(dir, &fd, why);
    if (e != OSP_OK)
        return OSP_E_STORE;
    rc = write_new(fd, v) ? 0 : -1;
    if (rc == 0 && replace)
        rc = renameat(fd, NAME_NEW, fd, NAME);
    else if (rc == 0)
        rc = linkat(fd, NAME_NEW, fd, NAME, 0);
    if (rc == 0)
        rc = fsync(fd);
    if (rc != 0) {
        e = errno == EEXIST ? OSP_E_EXISTS : OSP_E_STORE;
        (void)say(why, dir, e == OSP_E_EXISTS ? "there is one already" : "cannot be written",
                  e == OSP_E_EXISTS ? "" : strerror(errno));
    }
    (void)unlinkat(fd, NAME_NEW, 0);
    (void)close(fd);
    return e;
}

enum osp_err
osp_mark_write(struct osp_mark *m, const struct osp_mark_value *v)
{
    if (!write_slot(m->file, m->id, m->writes + 1, v) || fdatasync(m->file) != 0)
        return OSP_E_STORE;
    m->writes++;
    return OSP_OK;
}

void
osp_mark_close(struct osp_mark *m)
{
    if (!m)
        return;
    if (m->file != -1)
        (void)close(m->file);   /* the lock ends with the descriptor */
    free(m);
}
