/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in LMDB: one file `state.mdb`, preallocated, every commit synced.  A lock on the file
 * `lock` keeps a second process out; LMDB's own lock file is not used, since one batch at a time
 * is all there is.
 *
 *   "osprey-state"       -> version, run, valid_from, dirty, check
 *   32-byte key          -> limit, window (next, seen), run that saved the window (0: none), use of the keys (q, v), check
 *   "kept:" 32-byte key  -> what its owner wrote, check
 *   "idof:" 32-byte key  -> ID Context that is current, check
 *
 * LMDB has no checksums, so each value carries one that covers its key.  A damaged file can make
 * LMDB crash: before it is used, a child process reads all of it (store_check.c).
 */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include "daemon/store_lmdb.h"

#define NEW_KEYS "provision new keys for all contexts and move the directory aside; never restore an older copy"

#define PAGES_SPARE 16

struct osp_store {
    MDB_env         *env;
    MDB_txn         *txn;       /* of the batch, guarded by `lock` */
    MDB_dbi          dbi;
    pthread_mutex_t  lock;
    int              lock_fd;
    int              last_error;
    bool             existed, was_clean;
    uint32_t         run, valid_from;
    char             file[OSP_STORE_PATH_MAX];
};

/* ---- values ---- */

static uint64_t
check_of(struct osp_slice key, struct osp_slice value)
{
    static const struct osp_hash_key fixed = { 0x6f73707265792d73u, 0x746174652d763031u };
    uint8_t                          both[OSP_STORE_KEY_MAX + OSP_STORE_KEPT_MAX];
    struct osp_wr                    w = osp_wr_to(both, sizeof(both));
    uint64_t                         h;

    osp_wr_put(&w, key);
    osp_wr_put(&w, value);
    h = osp_hash(&fixed, osp_wr_slice(&w));
    osp_wipe(both, w.n); /* a kept value has secrets in it */
    return h;
}

/* Adds the check that makes a value whole. */
static void
seal(struct osp_wr *w, struct osp_slice key)
{
    osp_wr_uint(w, check_of(key, osp_wr_slice(w)), OSP_STORE_CHECK_LEN);
}

/* A value without its check. */
static struct osp_slice
body_of(struct osp_slice value)
{
    return osp_slice_head(value, value.n < OSP_STORE_CHECK_LEN ? 0 : value.n - OSP_STORE_CHECK_LEN);
}

bool
osp_store_value_ok(struct osp_slice key, struct osp_slice value)
{
    struct osp_slice body = body_of(value);
    struct osp_rd    r = osp_rd_from(osp_slice_tail(value, body.n));

    return value.n >= OSP_STORE_CHECK_LEN && body.n <= OSP_STORE_KEPT_MAX && key.n <= OSP_STORE_KEY_MAX &&
           osp_rd_uint(&r, OSP_STORE_CHECK_LEN) == check_of(key, body);
}

static struct osp_slice
meta_key(void)
{
    return osp_slice_str(OSP_STORE_META);
}

static MDB_val
to_val(struct osp_slice s)
{
    MDB_val v = { s.n, (void *)(uintptr_t)s.p }; /* LMDB only reads it */

    return v;
}

static enum osp_err
fail(struct osp_store *s, int rc)
{
    s->last_error = rc;
    return rc == MDB_MAP_FULL || rc == ENOSPC ? OSP_E_NOSPACE : OSP_E_STORE;
}

const char *
osp_store_error(const struct osp_store *s)
{
    return s->last_error ? mdb_strerror(s->last_error) : "none";
}

static enum osp_err
get_value(struct osp_store *s, struct osp_slice key, struct osp_slice *out)
{
    MDB_val k = to_val(key), v;
    int     rc = mdb_get(s->txn, s->dbi, &k, &v);

    if (rc == MDB_NOTFOUND)
        return OSP_E_NOT_FOUND;
    if (rc != 0)
        return fail(s, rc);
    if (!osp_store_value_ok(key, osp_slice(v.mv_data, v.mv_size)))
        return fail(s, MDB_CORRUPTED);
    *out = osp_slice(v.mv_data, v.mv_size);
    return OSP_OK;
}

static enum osp_err
put_value(struct osp_store *s, struct osp_slice key, struct osp_slice value)
{
    MDB_val k = to_val(key), v = to_val(value);
    int     rc = mdb_put(s->txn, s->dbi, &k, &v, 0);

    return rc == 0 ? OSP_OK : fail(s, rc);
}

/* ---- batches ---- */

enum osp_err
osp_store_begin(struct osp_store *s)
{
    int rc;

    (void)pthread_mutex_lock(&s->lock);
    rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (rc == 0)
        return OSP_OK;
    s->txn = NULL;
    s->last_error = rc;
    (void)pthread_mutex_unlock(&s->lock);
    return OSP_E_STORE;
}

enum osp_err
osp_store_get(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_record *out)
{
    struct osp_record r = { 0 };
    struct osp_slice  v = OSP_EMPTY;
    struct osp_rd     rd;
    enum osp_err      e = get_value(s, osp_slice(key, OSP_STORE_KEY_LEN), &v);
    uint32_t          run;

    if (e != OSP_OK)
        return e;
    if (v.n != OSP_STORE_RECORD_LEN && v.n != OSP_STORE_RECORD_LEN_OLD)
        return fail(s, MDB_CORRUPTED);
    rd = osp_rd_from(v);
    r.limit = osp_rd_uint(&rd, 8);
    r.window.next = osp_rd_uint(&rd, 8);
    r.window.seen = osp_rd_u32(&rd);
    run = osp_rd_u32(&rd);
    if (v.n == OSP_STORE_RECORD_LEN) {
        r.used_q = osp_rd_u32(&rd);
        r.used_v = osp_rd_u32(&rd);
    }
    r.has_window = run != 0 && run >= s->valid_from;
    if (!r.has_window)
        r.window = (struct osp_replay){ 0 };
    *out = r;
    return OSP_OK;
}

enum osp_err
osp_store_put(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], const struct osp_record *r)
{
    uint8_t          value[OSP_STORE_RECORD_LEN];
    struct osp_wr    w = osp_wr_to(value, sizeof(value));
    struct osp_slice k = osp_slice(key, OSP_STORE_KEY_LEN);

    osp_wr_uint(&w, r->limit, 8);
    osp_wr_uint(&w, r->has_window ? r->window.next : 0, 8);
    osp_wr_u32(&w, r->has_window ? r->window.seen : 0);
    osp_wr_u32(&w, r->has_window ? s->run : 0);
    osp_wr_u32(&w, r->used_q);
    osp_wr_u32(&w, r->used_v);
    seal(&w, k);
    return put_value(s, k, osp_wr_slice(&w));
}

/* ---- contexts that are kept whole ---- */

static struct osp_slice
key_after(const char *prefix, const uint8_t key[OSP_STORE_KEY_LEN], uint8_t dst[OSP_STORE_KEY_MAX])
{
    struct osp_wr w = osp_wr_to(dst, OSP_STORE_KEY_MAX);

    osp_wr_put(&w, osp_slice_str(prefix));
    osp_wr_put(&w, osp_slice(key, OSP_STORE_KEY_LEN));
    return osp_wr_slice(&w);
}

static struct osp_slice
kept_key(const uint8_t key[OSP_STORE_KEY_LEN], uint8_t dst[OSP_STORE_KEY_MAX])
{
    return key_after(OSP_STORE_KEPT, key, dst);
}

static enum osp_err
put_whole(struct osp_store *s, struct osp_slice k, struct osp_slice value)
{
    uint8_t       whole[OSP_STORE_KEPT_MAX + OSP_STORE_CHECK_LEN];
    struct osp_wr w = osp_wr_to(whole, sizeof(whole));
    enum osp_err  e;

    if (value.n > OSP_STORE_KEPT_MAX)
        return OSP_E_INVALID;
    osp_wr_put(&w, value);
    seal(&w, k);
    e = put_value(s, k, osp_wr_slice(&w));
    osp_wipe(whole, sizeof(whole));
    return e;
}

enum osp_err
osp_store_keep(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice value)
{
    uint8_t name[OSP_STORE_KEY_MAX];

    return put_whole(s, kept_key(key, name), value);
}

enum osp_err
osp_store_put_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice id)
{
    uint8_t name[OSP_STORE_KEY_MAX];

    return put_whole(s, key_after(OSP_STORE_ID, key, name), id);
}

enum osp_err
osp_store_get_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *out)
{
    uint8_t          name[OSP_STORE_KEY_MAX];
    struct osp_slice v = OSP_EMPTY;
    enum osp_err     e = get_value(s, key_after(OSP_STORE_ID, key, name), &v);

    if (e == OSP_OK)
        *out = body_of(v);
    return e;
}

static enum osp_err
delete(struct osp_store *s, struct osp_slice key)
{
    MDB_val k = to_val(key);
    int     rc = mdb_del(s->txn, s->dbi, &k, NULL);

    return rc == 0 || rc == MDB_NOTFOUND ? OSP_OK : fail(s, rc);
}

enum osp_err
osp_store_forget(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN])
{
    uint8_t      name[OSP_STORE_KEY_MAX];
    enum osp_err e = delete(s, kept_key(key, name));

    return e == OSP_OK ? delete(s, osp_slice(key, OSP_STORE_KEY_LEN)) : e;
}

/* The first record with a name above `after`; what is longer than a plain key and begins like a kept one is one. */
static enum osp_err
seek(struct osp_store *s, struct osp_slice after, MDB_val *k, MDB_val *v)
{
    MDB_cursor *cursor;
    int         rc = mdb_cursor_open(s->txn, s->dbi, &cursor);

    if (rc != 0)
        return fail(s, rc);
    *k = to_val(after);
    rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (rc == 0 && osp_slice_eq(osp_slice(k->mv_data, k->mv_size), after))
        rc = mdb_cursor_get(cursor, k, v, MDB_NEXT);
    while (rc == 0 && k->mv_size == OSP_STORE_KEY_LEN)
        rc = mdb_cursor_get(cursor, k, v, MDB_NEXT);
    mdb_cursor_close(cursor);
    return rc == 0 ? OSP_OK : rc == MDB_NOTFOUND ? OSP_E_NOT_FOUND : fail(s, rc);
}

enum osp_err
osp_store_next_kept(struct osp_store *s, bool first, uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *value)
{
    uint8_t          name[OSP_STORE_KEY_MAX];
    struct osp_slice prefix = osp_slice_str(OSP_STORE_KEPT), at;
    MDB_val          k, v;
    enum osp_err     e = seek(s, first ? prefix : kept_key(key, name), &k, &v);

    if (e != OSP_OK)
        return e;
    at = osp_slice(k.mv_data, k.mv_size);
    if (at.n != OSP_STORE_KEY_MAX || !osp_slice_eq(osp_slice_head(at, prefix.n), prefix))
        return OSP_E_NOT_FOUND;
    if (!osp_store_value_ok(at, osp_slice(v.mv_data, v.mv_size)))
        return fail(s, MDB_CORRUPTED);
    (void)osp_slice_copy(osp_slice_tail(at, prefix.n), key, OSP_STORE_KEY_LEN);
    *value = body_of(osp_slice(v.mv_data, v.mv_size));
    return OSP_OK;
}

enum osp_err
osp_store_mark(struct osp_store *s, bool running)
{
    uint8_t       value[OSP_STORE_RECORD_LEN];
    struct osp_wr w = osp_wr_to(value, sizeof(value));

    osp_wr_u32(&w, OSP_STORE_VERSION);
    osp_wr_u32(&w, s->run);
    osp_wr_u32(&w, s->valid_from);
    osp_wr_u32(&w, running);
    osp_wr_uint(&w, 0, 8);
    seal(&w, meta_key());
    return put_value(s, meta_key(), osp_wr_slice(&w));
}

enum osp_err
osp_store_reserve(struct osp_store *s)
{
    MDB_envinfo info;
    MDB_stat    st;
    size_t      live, all;
    int         rc = mdb_stat(s->txn, s->dbi, &st);

    if (rc == 0)
        rc = mdb_env_info(s->env, &info);
    if (rc != 0)
        return fail(s, rc);
    live = st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    all = info.me_mapsize / st.ms_psize;
    /* the list of free pages takes some itself: 8 bytes for each page on it */
    return 2 * live + live / 256 + PAGES_SPARE <= all ? OSP_OK : fail(s, MDB_MAP_FULL);
}

enum osp_err
osp_store_commit(struct osp_store *s)
{
    int rc = mdb_txn_commit(s->txn); /* frees the transaction whatever happens */

    s->txn = NULL;
    if (rc != 0)
        s->last_error = rc;
    (void)pthread_mutex_unlock(&s->lock);
    return rc == 0 ? OSP_OK : rc == MDB_MAP_FULL || rc == ENOSPC ? OSP_E_NOSPACE : OSP_E_STORE;
}

void
osp_store_abort(struct osp_store *s)
{
    mdb_txn_abort(s->txn);
    s->txn = NULL;
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- opening ---- */

static void
say_errno(char why[OSP_STORE_WHY_MAX], const char *dir, const char *what, int e, const char *advice)
{
    (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: %s: %s; %s", dir, what, strerror(e), advice);
}

/* Keeps other processes out; the number of the one inside is in the file. */
static enum osp_err
take_lock(struct osp_store *s, const char *dir, char why[OSP_STORE_WHY_MAX])
{
    char    path[OSP_STORE_PATH_MAX], pid[16] = "";
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd == -1) {
        say_errno(why, dir, "cannot be used", errno, "it must be a directory that exists and that this user may write to");
        return OSP_E_STORE;
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
        if (ftruncate(s->lock_fd, 0) != 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
            (void)0; /* the number is a courtesy */
        return OSP_OK;
    }
    n = pread(s->lock_fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
    (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: in use by process %s; stop it, or give this one a directory of its own",
                   dir, *pid ? pid : "(unknown)");
    return OSP_E_STORE;
}

static size_t
round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* A file that is there must hold every page that its head speaks of, or reading it would be fatal. */
static enum osp_err
check_length(struct osp_store *s, const char *dir, char why[OSP_STORE_WHY_MAX])
{
    MDB_envinfo info;
    MDB_stat    st;
    struct stat file;

    (void)mdb_env_info(s->env, &info);
    (void)mdb_env_stat(s->env, &st);
    if (stat(s->file, &file) == 0 && (uint64_t)file.st_size >= (uint64_t)(info.me_last_pgno + 1) * st.ms_psize)
        return OSP_OK;
    (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: damaged (state.mdb was cut short); " NEW_KEYS, dir);
    return OSP_E_STORE;
}

/* Takes the whole size from the disk now, so that no commit can meet a full one. */
static enum osp_err
preallocate(struct osp_store *s, const char *dir, size_t size, bool is_new, char why[OSP_STORE_WHY_MAX])
{
    int fd = open(s->file, O_RDWR | O_CLOEXEC), rc, dfd;

    rc = fd == -1 ? errno : posix_fallocate(fd, 0, (off_t)size);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    if (fd != -1)
        (void)close(fd);
    dfd = rc == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dfd != -1) {
        if (fsync(dfd) != 0)
            rc = errno;
        (void)close(dfd);
    }
    if (rc == 0)
        return OSP_OK;
    if (is_new)
        (void)unlink(s->file); /* or what was taken so far would stay taken */
    (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: no room for %zu bytes: %s; free space, or lower state-size", dir, size,
                   strerror(rc));
    return OSP_E_STORE;
}

static enum osp_err
open_env(struct osp_store *s, const char *dir, size_t size, char why[OSP_STORE_WHY_MAX])
{
    struct stat st;
    bool        is_old = stat(s->file, &st) == 0 && st.st_size > 0;
    size_t      had = is_old ? (size_t)st.st_size : 0;
    int         rc;

    size = round_up(size, 1u << 16);
    if (had > size)
        size = had; /* what was taken stays taken */
    if (is_old && access(s->file, R_OK | W_OK) != 0) {
        say_errno(why, dir, "state.mdb", errno, "this user must be able to read and write it");
        return OSP_E_STORE;
    }
    if (is_old && !osp_store_check(s->file, size)) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: damaged (state.mdb does not read back); " NEW_KEYS, dir);
        return OSP_E_STORE;
    }
    rc = mdb_env_create(&s->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(s->env, size);
    if (rc == 0)
        rc = mdb_env_open(s->env, s->file, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (rc != 0) {
        if (!is_old)
            (void)unlink(s->file);
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: %s: %s; %s", dir, rc > 0 ? "cannot be used" : "damaged",
                       mdb_strerror(rc), rc == ENOMEM ? "lower state-size"
                       : rc > 0     ? "this user must be able to read and write what is in it"
                                    : NEW_KEYS);
        return OSP_E_STORE;
    }
    if (is_old && check_length(s, dir, why) != OSP_OK)
        return OSP_E_STORE;
    return preallocate(s, dir, size, !is_old, why);
}

static bool
is_empty(struct osp_store *s)
{
    MDB_stat st;

    return mdb_stat(s->txn, s->dbi, &st) == 0 && st.ms_entries == 0;
}

/* Which run is this, and how did the last one end? */
static enum osp_err
read_meta(struct osp_store *s, const char *dir, char why[OSP_STORE_WHY_MAX])
{
    struct osp_slice v = OSP_EMPTY;
    enum osp_err     e = get_value(s, meta_key(), &v);
    struct osp_rd    r = osp_rd_from(v);
    uint32_t         version, dirty;

    if (e == OSP_E_NOT_FOUND && is_empty(s)) {
        s->existed = false;
        s->was_clean = true;
        s->run = s->valid_from = 1;
        return OSP_OK;
    }
    if (e != OSP_OK) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: damaged (its head does not read back); " NEW_KEYS, dir);
        return OSP_E_STORE;
    }
    version = osp_rd_u32(&r);
    if (version < OSP_STORE_VERSION_OLDEST || version > OSP_STORE_VERSION) {
        (void)snprintf(why, OSP_STORE_WHY_MAX,
                       "state %s: written in format %u, this program knows %u; run the version that wrote it, or " NEW_KEYS, dir,
                       version, OSP_STORE_VERSION);
        return OSP_E_STORE;
    }
    s->existed = true;
    s->run = osp_rd_u32(&r) + 1;
    s->valid_from = osp_rd_u32(&r);
    dirty = osp_rd_u32(&r);
    s->was_clean = dirty == 0;
    if (!s->was_clean)
        s->valid_from = s->run;
    return OSP_OK;
}

static enum osp_err
open_database(struct osp_store *s, const char *dir, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e;
    int          rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);

    if (rc == 0)
        rc = mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
    if (rc != 0) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: damaged: %s; " NEW_KEYS, dir, mdb_strerror(rc));
        e = OSP_E_STORE;
    } else {
        e = read_meta(s, dir, why);
    }
    if (s->txn)
        mdb_txn_abort(s->txn); /* the main database's handle stays valid */
    s->txn = NULL;
    return e;
}

enum osp_err
osp_store_open(const char *dir, size_t size, struct osp_store **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_store *s = calloc(1, sizeof(*s));

    why[0] = '\0';
    if (!s) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: out of memory", dir);
        return OSP_E_STORE;
    }
    s->lock_fd = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    if ((size_t)snprintf(s->file, sizeof(s->file), "%s/state.mdb", dir) >= sizeof(s->file)) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state: the directory's name is too long");
        osp_store_close(s);
        return OSP_E_STORE;
    }
    if (take_lock(s, dir, why) != OSP_OK || open_env(s, dir, size, why) != OSP_OK || open_database(s, dir, why) != OSP_OK) {
        osp_store_close(s);
        return OSP_E_STORE;
    }
    *out = s;
    return OSP_OK;
}

void
osp_store_close(struct osp_store *s)
{
    if (!s)
        return;
    if (s->env)
        mdb_env_close(s->env);
    if (s->lock_fd != -1)
        (void)close(s->lock_fd); /* and the lock is gone */
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

bool
osp_store_existed(const struct osp_store *s)
{
    return s->existed;
}

bool
osp_store_was_clean(const struct osp_store *s)
{
    return s->was_clean;
}

void
osp_store_size(struct osp_store *s, size_t *used, size_t *size)
{
    MDB_envinfo info = { 0 };
    MDB_stat    st = { 0 };

    (void)pthread_mutex_lock(&s->lock);
    (void)mdb_env_info(s->env, &info);
    (void)mdb_env_stat(s->env, &st);
    (void)pthread_mutex_unlock(&s->lock);
    *used = (info.me_last_pgno + 1) * st.ms_psize;
    *size = info.me_mapsize;
}
