/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches of a store in LMDB: one file `state.mdb`, preallocated, every commit synced.  LMDB's own lock file is not used,
 * since one batch at a time is all there is.
 */
#include "daemon/ospreyd/store/lmdb.h"

#include <errno.h>

#define PAGES_SPARE 16
#define PAGES_PER_CHANGE 2      /* pages that a put or del writes anew, on average at most: a leaf, and a part of a branch */

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
    return s->last_error == ESTALE ? "state.mdb was cut short, removed or replaced"
           : s->last_error         ? mdb_strerror(s->last_error)
                                   : "none";
}

/* ---- rows ---- */

/* Reads a row and its check.  OSP_E_NOT_FOUND.  OSP_E_STORE: it is not what was written. */
static enum osp_err
find(struct osp_store *s, struct osp_slice name, struct osp_slice *value, struct osp_store_sum *h)
{
    MDB_val k = to_val(name), v;
    int     rc = mdb_get(s->txn, s->dbi, &k, &v);

    if (rc == MDB_NOTFOUND)
        return OSP_E_NOT_FOUND;
    if (rc != 0)
        return fail(s, rc);
    return osp_store_unseal(name, osp_slice(v.mv_data, v.mv_size), value, h) ? OSP_OK : fail(s, MDB_CORRUPTED);
}

enum osp_err
osp_store_get(struct osp_store *s, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *value)
{
    uint8_t              name[OSP_STORE_NAME_LEN];
    struct osp_store_sum h;

    return find(s, osp_store_row_name(table, key, name), value, &h);
}

/* Takes the row `name` out of the sum of the head.  OSP_E_NOT_FOUND: there is no such row. */
static enum osp_err
take_out(struct osp_store *s, enum osp_store_table table, struct osp_slice name)
{
    struct osp_slice     value;
    struct osp_store_sum h;
    enum osp_err         e = find(s, name, &value, &h);

    if (e != OSP_OK)
        return e;
    osp_store_sum_sub(&s->work.sum, h);
    s->work.count[table]--;
    s->changed = true;
    return OSP_OK;
}

static enum osp_err
write_value(struct osp_store *s, struct osp_slice name, struct osp_slice whole)
{
    MDB_val k = to_val(name), v = to_val(whole);
    int     rc = mdb_put(s->txn, s->dbi, &k, &v, 0);

    s->changed = true;
    s->changes++;
    return rc == 0 ? OSP_OK : fail(s, rc);
}

enum osp_err
osp_store_put(struct osp_store *s, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice value)
{
    uint8_t              name[OSP_STORE_NAME_LEN], whole[OSP_STORE_WHOLE_MAX];
    struct osp_slice     n = osp_store_row_name(table, key, name), w;
    struct osp_store_sum h;
    enum osp_err         e;

    if (value.n > OSP_STORE_VALUE_MAX)
        return OSP_E_INVALID;
    e = take_out(s, table, n);
    if (e != OSP_OK && e != OSP_E_NOT_FOUND)
        return e;
    w = osp_store_seal(n, value, whole, &h);
    e = write_value(s, n, w);
    if (table == OSP_STORE_KEPT)
        osp_wipe(whole, sizeof(whole));
    osp_store_sum_add(&s->work.sum, h);
    s->work.count[table]++;
    return e;
}

enum osp_err
osp_store_del(struct osp_store *s, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN])
{
    uint8_t          name[OSP_STORE_NAME_LEN];
    struct osp_slice n = osp_store_row_name(table, key, name);
    MDB_val          k = to_val(n);
    enum osp_err     e = take_out(s, table, n);
    int              rc;

    if (e == OSP_E_NOT_FOUND)
        return OSP_OK;
    if (e != OSP_OK)
        return e;
    rc = mdb_del(s->txn, s->dbi, &k, NULL);
    s->changes++;
    return rc == 0 ? OSP_OK : fail(s, rc);
}

/* Finds the first row whose name is `from` or sorts after it. */
static enum osp_err
seek(struct osp_store *s, struct osp_slice from, bool above, MDB_val *k, MDB_val *v)
{
    MDB_cursor *cursor;
    int         rc = mdb_cursor_open(s->txn, s->dbi, &cursor);

    if (rc != 0)
        return fail(s, rc);
    *k = to_val(from);
    rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (rc == 0 && above && osp_slice_eq(osp_slice(k->mv_data, k->mv_size), from))
        rc = mdb_cursor_get(cursor, k, v, MDB_NEXT);
    mdb_cursor_close(cursor);
    return rc == 0 ? OSP_OK : rc == MDB_NOTFOUND ? OSP_E_NOT_FOUND : fail(s, rc);
}

enum osp_err
osp_store_next(struct osp_store *s, enum osp_store_table table, bool first, uint8_t key[OSP_STORE_KEY_LEN],
               struct osp_slice *value)
{
    static const uint8_t zero[OSP_STORE_KEY_LEN];
    uint8_t              name[OSP_STORE_NAME_LEN];
    struct osp_slice     from = osp_store_row_name(table, first ? zero : key, name), at, found;
    struct osp_store_sum h;
    MDB_val              k, v;
    enum osp_err         e = seek(s, from, !first, &k, &v);

    if (e != OSP_OK)
        return e;
    at = osp_slice(k.mv_data, k.mv_size);
    if (at.n == 0 || at.p[0] != table)
        return OSP_E_NOT_FOUND;
    if (!osp_store_unseal(at, osp_slice(v.mv_data, v.mv_size), &found, &h))
        return fail(s, MDB_CORRUPTED);
    (void)osp_slice_copy(osp_slice_tail(at, 1), key, OSP_STORE_KEY_LEN);
    *value = found;
    return OSP_OK;
}

/* ---- room ---- */

size_t
osp_store_live_pages(struct osp_store *s)
{
    MDB_stat st = { 0 };

    (void)mdb_stat(s->txn, s->dbi, &st);
    return st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
}

size_t
osp_store_pages_for(size_t live)
{
    return 2 * live + live / 256 + PAGES_SPARE; /* the list of free pages needs pages itself: 8 bytes for each free page */
}

size_t
osp_store_capacity(const struct osp_store *s)
{
    size_t all = s->size / s->page_len;

    return (all - PAGES_SPARE) * 256 / 513 * s->page_len;
}

unsigned
osp_store_fill(struct osp_store *s)
{
    size_t all = s->size / s->page_len;

    return (unsigned)((osp_store_pages_for(osp_store_live_pages(s)) * 100 + all - 1) / all);
}

unsigned
osp_store_fill_committed(const struct osp_store *s)
{
    return __atomic_load_n(&s->fill, __ATOMIC_RELAXED);
}

enum osp_err
osp_store_reserve(struct osp_store *s)
{
    return osp_store_fill(s) <= 100 ? OSP_OK : fail(s, MDB_MAP_FULL);
}

/* ---- batches ---- */

static int
begin(struct osp_store *s)
{
    int rc = osp_store_is_lost(s) ? ESTALE : mdb_txn_begin(s->env, NULL, 0, &s->txn);

    if (rc != 0) {
        s->txn = NULL;
        return rc;
    }
    s->work = s->head;
    s->changed = s->accepted = false;
    return 0;
}

static enum osp_err write_head(struct osp_store *s);

/* Makes one more commit, after which the pages that the last one gave back can be used. */
static int
settle(struct osp_store *s)
{
    int rc = write_head(s) == OSP_OK ? 0 : s->last_error;

    if (rc == 0)
        rc = mdb_txn_commit(s->txn);
    else
        mdb_txn_abort(s->txn);
    s->txn = NULL;
    if (rc == 0) {
        s->head = s->work;
        s->written = true;
        s->given_back = 0;
    }
    return rc;
}

/*
 * LMDB uses the pages that a transaction gave back in the one after the next.  If the last batch gave back what this one may
 * need, an empty one comes in between.  Only a store that is small or nearly full ever gets there.
 */
static int
begin_with_room(struct osp_store *s)
{
    int    rc = begin(s);
    size_t live, pending;

    if (rc != 0)
        return rc;
    live = osp_store_live_pages(s);
    pending = s->given_back < live ? s->given_back : live;
    if (pending == 0 || osp_store_pages_for(live) + pending <= s->size / s->page_len)
        return 0;
    rc = settle(s);
    return rc == 0 ? begin(s) : rc;
}

enum osp_err
osp_store_begin(struct osp_store *s)
{
    int rc;

    (void)pthread_mutex_lock(&s->lock);
    rc = begin_with_room(s);
    if (rc == 0) {
        s->changes = 0;
        return OSP_OK;
    }
    s->txn = NULL;
    s->last_error = rc;
    (void)pthread_mutex_unlock(&s->lock);
    return OSP_E_STORE;
}

void
osp_store_mark(struct osp_store *s, bool running)
{
    s->work.run = s->run;
    s->work.valid_from = s->valid_from;
    s->work.dirty = running;
    s->changed = true;
}

void
osp_store_accept_file(struct osp_store *s)
{
    s->work.file = osp_file_id_of(s->place.file);
    s->changed = s->accepted = true;
}

/* Writes the head within the batch, so that it always matches the rows. */
static enum osp_err
write_head(struct osp_store *s)
{
    uint8_t bytes[OSP_STORE_HEAD_MAX];

    s->work.seq++;
    s->work.txn = mdb_txn_id(s->txn);
    return write_value(s, osp_store_head_name(), osp_store_head_encode(&s->work, bytes));
}

enum osp_err
osp_store_commit(struct osp_store *s)
{
    enum osp_err e = s->changed ? write_head(s) : OSP_OK;
    unsigned     fill = osp_store_fill(s);
    int          rc;

    if (e != OSP_OK) {
        osp_store_abort(s);
        return e;
    }
    rc = mdb_txn_commit(s->txn); /* frees the transaction whatever happens */
    s->txn = NULL;
    if (rc == 0 && osp_store_is_lost(s))
        rc = ESTALE; /* the file was replaced meanwhile, so the commit may be in a file without a name */
    if (rc == 0 && s->changed) {
        s->was_moved &= !s->accepted;
        s->head = s->work;
        s->written = true;
        s->given_back = s->changes * PAGES_PER_CHANGE;
        __atomic_store_n(&s->fill, fill, __ATOMIC_RELAXED);
    }
    e = rc == 0 ? OSP_OK : fail(s, rc);
    (void)pthread_mutex_unlock(&s->lock);
    return e;
}

void
osp_store_abort(struct osp_store *s)
{
    mdb_txn_abort(s->txn);
    s->txn = NULL;
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- what is known of it ---- */

bool
osp_store_is_lost(const struct osp_store *s)
{
    return !osp_store_place_is_whole(&s->place, s->size);
}

bool
osp_store_was_clean(const struct osp_store *s)
{
    return s->was_clean;
}

uint32_t
osp_store_run(const struct osp_store *s)
{
    return s->run;
}

bool
osp_store_trusts_run(const struct osp_store *s, uint32_t run)
{
    return run != 0 && run >= s->valid_from;
}

uint64_t
osp_store_seq(const struct osp_store *s)
{
    return s->head.seq;
}

bool
osp_store_was_moved(const struct osp_store *s)
{
    return s->was_moved;
}

uint64_t
osp_store_count(const struct osp_store *s, enum osp_store_table table)
{
    return s->work.count[table];
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
