/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/state/impl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/state/rekeyed.h"

/* ---- sets ---- */

enum osp_err
osp_state_build(struct osp_state *st, const struct osp_cfg *cfg, struct osp_ctxset **out, char why[OSP_STORE_WHY_MAX])
{
    if (!st->store && !st->dry && cfg->context_count > 0) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "contexts need a state directory; set `state` and start again");
        return OSP_E_INVALID;
    }
    return osp_ctxset_make(st->set, cfg, out, why);
}

/* ---- batches ---- */

enum osp_err
state_begin(struct osp_state *st)
{
    enum osp_err e;

    (void)pthread_mutex_lock(&st->batch);
    st->error = NULL;
    e = osp_store_begin(st->store);
    if (e != OSP_OK)
        (void)pthread_mutex_unlock(&st->batch);
    return e;
}

/* Writes the mark after a commit: so the store never counts fewer commits than its mark, and no number is used that the mark
   does not cover. */
static enum osp_err
write_mark(struct osp_state *st, uint64_t high)
{
    struct osp_mark_value v = st->marked;
    enum osp_err          e;

    v.seq = osp_store_seq(st->store);
    if (v.high < high)
        v.high = high;
    if (v.seq == st->marked.seq && v.high == st->marked.high)
        return OSP_OK;
    e = osp_mark_write(st->mark, &v);
    if (e == OSP_OK)
        st->marked = v;
    else
        st->error = "the mark cannot be written";
    return e;
}

/* Commits, and writes the mark; the batch is not over yet.  *stored: the rows are durable, even if the mark could not be
   written. */
static enum osp_err
commit(struct osp_state *st, uint64_t high, bool *stored)
{
    enum osp_err e = osp_store_commit(st->store);

    *stored = e == OSP_OK;
    return *stored ? write_mark(st, high) : e;
}

enum osp_err
state_commit(struct osp_state *st, uint64_t high)
{
    bool         stored;
    enum osp_err e = commit(st, high, &stored);

    (void)pthread_mutex_unlock(&st->batch);
    return e;
}

void
state_abort(struct osp_state *st)
{
    osp_store_abort(st->store);
    (void)pthread_mutex_unlock(&st->batch);
}

const char *
osp_state_error(const struct osp_state *st)
{
    return st->error ? st->error : st->store ? osp_store_error(st->store) : "none";
}

/* ---- preparing ---- */

static enum osp_err
load_all(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e = state_begin(st);

    if (e != OSP_OK)
        return e;
    e = state_load(st, set, cfg, why);
    if (e == OSP_OK && !st->running)
        osp_store_mark(st->store, true);
    if (e == OSP_OK)
        e = osp_store_reserve(st->store);
    if (e == OSP_OK)
        return state_commit(st, 0);
    state_abort(st);
    return e;
}

enum osp_err
osp_state_prepare(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e;

    why[0] = '\0';
    e = st->store ? load_all(st, set, cfg, why) : OSP_OK;
    if (e != OSP_OK) {
        if (!why[0])
            (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: %s (%s)", cfg->state ? cfg->state : "",
                           e == OSP_E_NOSPACE ? "full; raise state-size" : "cannot be read or written; check the disk",
                           osp_state_error(st));
        return e;
    }
    st->running = true;
    (void)pthread_mutex_lock(&st->lock);
    st->next = set;
    (void)pthread_mutex_unlock(&st->lock);
    return OSP_OK;
}

/* ---- the switch ---- */

/*
 * Saves the window of a context that is not configured any more.  Limit and usage stay as they were leased, since an exchange in
 * flight may still use numbers below the limit.
 */
static enum osp_err
retire_context(void *ctx, struct osp_octx *c)
{
    struct osp_state           *st = ctx;
    struct osp_recipient_record now = state_window_of(c), r;
    struct osp_key_names        names;
    enum osp_err                err = osp_octx_key_names(c, &names);

    if (err == OSP_OK)
        err = osp_record_get_recipient(st->store, names.recipient, &r);
    if (err != OSP_OK)
        return err;
    if (now.used_v < r.used_v)
        now.used_v = r.used_v;
    return osp_record_put_recipient(st->store, names.recipient, &now);
}

/* Calls `fn` with the context that an entry uses, if it uses one; such a context has records. */
static enum osp_err
with_record(struct osp_state *st, const struct osp_ctx_entry *e, enum osp_err (*fn)(void *ctx, struct osp_octx *c))
{
    struct osp_octx *c = e->is_base ? osp_b2_current(e->octx) : e->octx;
    enum osp_err     err = OSP_OK;

    if (!e->is_base)
        return fn(st, c);
    if (c)
        err = osp_rekeyed_enroll(st->store, e->octx, e->key, c);
    if (c && err == OSP_OK)
        err = fn(st, c);
    osp_octx_unref(c);
    return err;
}

static enum osp_err
retire_missing(struct osp_state *st, const struct osp_ctxset *old, const struct osp_ctxset *set)
{
    enum osp_err e = state_begin(st);

    if (e != OSP_OK)
        return e;
    for (size_t i = 0; i < old->count && e == OSP_OK; i++) {
        if (!osp_ctxset_by_key(set, old->entries[i].key))
            e = with_record(st, &old->entries[i], retire_context);
    }
    if (e == OSP_OK)
        return state_commit(st, 0);
    state_abort(st);
    return e;
}

void
osp_state_adopt(struct osp_state *st, struct osp_ctxset *set)
{
    struct osp_ctxset *old = st->set;

    for (size_t i = 0; i < set->count; i++) {
        set->entries[i].is_new = false;
        osp_ctx_entry_set_limits(&set->entries[i]);
    }
    (void)pthread_mutex_lock(&st->lock);
    st->set = set;
    st->next = NULL;
    (void)pthread_mutex_unlock(&st->lock);
    for (size_t i = 0; old && i < old->count; i++)      /* observations under a removed context end */
        if (!osp_ctxset_by_key(set, old->entries[i].key))
            osp_octx_put_out_of_use(old->entries[i].octx);
    if (old && st->store && retire_missing(st, old, set) != OSP_OK) {
        /* A window saved earlier would be taken for this one later: void them all at the next start. */
        st->tainted = true;
        log_error("state-write-failed", "reason=%s effect=%s", osp_state_error(st),
                  "the next start treats all replay windows as unknown");
    }
    osp_ctxset_free(old);
}

void
osp_state_distrust(struct osp_state *st)
{
    st->tainted = true;
}

void
osp_state_discard(struct osp_state *st, struct osp_ctxset *set)
{
    (void)pthread_mutex_lock(&st->lock);
    if (st->next == set)
        st->next = NULL;
    (void)pthread_mutex_unlock(&st->lock);
    osp_ctxset_free(set);
}

const struct osp_ctxset *
osp_state_set(const struct osp_state *st)
{
    return st->set;
}

/* ---- leases ---- */

struct lease {
    bool     found, is_kept;
    struct osp_octx *base;              /* the base whose current context this is, with a reference; NULL: of no base */
    bool     recorded;                  /* the batch writes `q` and `v` */
    uint8_t  base_key[OSP_STORE_KEY_LEN];       /* a copy: the set may be replaced meanwhile */
    uint64_t at_least, limit, count;    /* the numbers granted; limit 0: no numbers */
    uint32_t q, v;
};

static void
find_leased(struct osp_state *st, const struct osp_octx *c, struct lease *l)
{
    struct osp_ctx_entry *e;

    (void)pthread_mutex_lock(&st->lock);
    e = osp_ctxset_find(st->set, c);
    if (!e)
        e = osp_ctxset_find(st->next, c);
    if (e)
        memcpy(l->base_key, e->key, sizeof(l->base_key));
    l->base = e && e->is_base ? e->octx : NULL;
    if (l->base)
        osp_octx_ref(l->base);
    (void)pthread_mutex_unlock(&st->lock);
    l->is_kept = !e && st->kept && osp_kept_has(st->kept, c);
    l->found = e || l->is_kept;
}

/*
 * Records the usage of the keys, and leases the next block of numbers if they run low: messages that fail to decrypt cost a
 * write now and then, but no numbers.
 * The next block begins at the limit in the store.  Normally the object has this limit, too, so no number is skipped.  Where they
 * differ (another object has or had this Sender Key), the limit in the store is the higher one.
 */
static enum osp_err
lease_sender(struct osp_state *st, struct osp_octx *c, const uint8_t name[OSP_KEY_NAME_LEN], struct lease *l)
{
    struct osp_ssn           ssn = osp_octx_ssn(c);
    struct osp_sender_record r, was;
    enum osp_err             e = osp_record_get_sender(st->store, name, &r);

    if (e != OSP_OK)
        return e;
    was = r;
    if (r.limit < ssn.limit)
        r.limit = ssn.limit;
    if (osp_octx_needs_numbers(c, st->block / 2)) {
        l->at_least = r.limit == ssn.limit ? 0 : r.limit;
        /* [rfc8613#7.2.1] no sequence numbers are left */
        l->limit = r.limit + st->block < OSP_SSN_END ? r.limit + st->block : OSP_SSN_END;
        l->count = l->limit - r.limit;
        r.limit = l->limit;
    }
    l->recorded = true;
    r.used_q = l->q > r.used_q ? l->q : r.used_q;
    return r.limit == was.limit && r.used_q == was.used_q ? OSP_OK : osp_record_put_sender(st->store, name, &r);
}

static enum osp_err
lease_one(struct osp_state *st, struct osp_octx *c, struct lease *l)
{
    struct osp_recipient_record r = { .has_window = false };
    struct osp_key_names        names;
    enum osp_err                e = osp_octx_key_names(c, &names);

    osp_octx_usage_ahead(c, &l->q, &l->v);
    if (e == OSP_OK)
        e = lease_sender(st, c, names.sender, l);
    if (e == OSP_E_NOT_FOUND) /* a kept context that the next flush writes; configured ones have had records since prepare */
        return l->is_kept ? OSP_OK : OSP_E_STORE;
    if (e == OSP_OK)
        e = osp_record_get_recipient(st->store, names.recipient, &r);
    if (e != OSP_OK || (!r.has_window && r.used_v >= l->v))
        return e;
    r.has_window = false;       /* while it is in use the saved window is void */
    r.used_v = l->v > r.used_v ? l->v : r.used_v;
    return osp_record_put_recipient(st->store, names.recipient, &r);
}

static enum osp_err
enroll(struct osp_state *st, struct osp_octx *c, struct lease *l)
{
    enum osp_err e = osp_rekeyed_enroll(st->store, l->base, l->base_key, c);

    osp_octx_unref(l->base);
    l->base = NULL;
    return e;
}

/* All numbers that the batch leases are below the result. */
static uint64_t
highest(const struct lease *leases, size_t count)
{
    uint64_t high = 0;

    for (size_t i = 0; i < count; i++) {
        if (!leases[i].is_kept && leases[i].limit > high)       /* kept contexts do not outlive a loss of state */
            high = leases[i].limit;
    }
    return high;
}

static enum osp_err
write_leases(struct osp_state *st, struct osp_octx *const *ctxs, struct lease *leases, size_t count)
{
    enum osp_err e = state_begin(st);
    bool         stored = false;

    if (e != OSP_OK)
        return e;
    if (st->kept)
        e = osp_kept_flush(st->kept, st->store);
    for (size_t i = 0; e == OSP_OK && i < count; i++) {
        find_leased(st, ctxs[i], &leases[i]);
        if (leases[i].base)     /* [rfc8613#B.2] the next run has to find a context before its first number is granted */
            e = enroll(st, ctxs[i], &leases[i]);
        if (e == OSP_OK && leases[i].found)
            e = lease_one(st, ctxs[i], &leases[i]);
    }
    if (e == OSP_OK)
        e = commit(st, highest(leases, count), &stored);
    else
        osp_store_abort(st->store);
    if (st->kept)               /* before another thread begins a batch of them */
        osp_kept_flushed(st->kept, stored);
    (void)pthread_mutex_unlock(&st->batch);
    return e;
}

/* Without a store: kept contexts end with the process, so their leases need not be recorded. */
static enum osp_err
grant_volatile(struct osp_state *st, struct osp_octx *const *ctxs, struct lease *leases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        leases[i].found = st->kept && osp_kept_has(st->kept, ctxs[i]);
        leases[i].recorded = leases[i].found;
        leases[i].limit = leases[i].found ? osp_octx_ssn(ctxs[i]).next + st->block : 0;
        leases[i].q = leases[i].v = UINT32_MAX; /* there is nothing to write */
    }
    return OSP_OK;
}

enum osp_err
osp_state_lease(struct osp_state *st, struct osp_octx *const *ctxs, size_t count)
{
    struct lease *leases = calloc(count ? count : 1, sizeof(*leases));
    enum osp_err  e = OSP_E_NOMEM;

    if (leases)
        e = st->store ? write_leases(st, ctxs, leases, count) : grant_volatile(st, ctxs, leases, count);
    for (size_t i = 0; i < count; i++) {
        if (e == OSP_OK && leases[i].recorded)
            osp_octx_usage_kept(ctxs[i], leases[i].q, leases[i].v);
        if (e == OSP_OK && leases[i].limit) {   /* [rfc8613#B.1.1] only now: the limit is on disk */
            osp_octx_grant(ctxs[i], leases[i].at_least, leases[i].limit);
            atomic_fetch_add_explicit(&st->numbers, leases[i].count, memory_order_relaxed);
        } else {
            if (e == OSP_OK && !leases[i].found)
                osp_octx_usage_abandon(ctxs[i]); /* otherwise it would ask again and again */
            osp_octx_lease_failed(ctxs[i]);
        }
    }
    free(leases);
    return e;
}

uint64_t
osp_state_numbers_leased(const struct osp_state *st)
{
    return atomic_load_explicit(&st->numbers, memory_order_relaxed);
}

/* ---- start and stop ---- */

static struct osp_state *
new_state(void)
{
    struct osp_state *st = calloc(1, sizeof(*st));

    if (!st)
        return NULL;
    (void)pthread_mutex_init(&st->lock, NULL);
    (void)pthread_mutex_init(&st->batch, NULL);
    return st;
}

enum osp_err
osp_state_open(const struct osp_cfg *cfg, struct osp_state **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_state *st = new_state();
    enum osp_err      e;

    if (!st) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state: out of memory");
        return OSP_E_NOMEM;
    }
    st->block = cfg->lease.block;
    e = cfg->state ? state_open_store(st, cfg, why) : OSP_OK;
    if (e != OSP_OK) {
        osp_state_close(st);
        return e;
    }
    *out = st;
    return OSP_OK;
}

void
osp_state_use_kept(struct osp_state *st, struct osp_kept *k)
{
    st->kept = k;
}

enum osp_err
osp_state_dry(struct osp_state **out)
{
    struct osp_state *st = new_state();

    if (!st)
        return OSP_E_NOMEM;
    st->dry = true;
    *out = st;
    return OSP_OK;
}

void
osp_state_close(struct osp_state *st)
{
    if (!st)
        return;
    osp_ctxset_free(st->set);
    osp_ctxset_free(st->next);
    osp_store_close(st->store);
    osp_mark_close(st->mark);
    (void)pthread_mutex_destroy(&st->lock);
    (void)pthread_mutex_destroy(&st->batch);
    free(st);
}

/* `exact`: only `c` used the key; otherwise its record may count more uses than `c` does. */
static enum osp_err
save_sender(struct osp_state *st, struct osp_octx *c, const uint8_t name[OSP_KEY_NAME_LEN], bool *exact)
{
    struct osp_ssn           ssn = osp_octx_ssn(c);
    uint32_t                 used_q = osp_octx_usage(c).q;
    struct osp_sender_record r, was;
    enum osp_err             e = osp_record_get_sender(st->store, name, &r);

    if (e != OSP_OK)
        return e;
    was = r;
    /* The limit in the store may be higher: a retired object with exchanges in flight may have used numbers below it. */
    *exact = r.limit == ssn.limit;
    if (*exact)
        r.limit = ssn.next;
    if (*exact || r.used_q < used_q)
        r.used_q = used_q;
    return r.limit == was.limit && r.used_q == was.used_q ? OSP_OK : osp_record_put_sender(st->store, name, &r);
}

static enum osp_err
save_context(void *ctx, struct osp_octx *c)
{
    struct osp_state           *st = ctx;
    struct osp_recipient_record now = state_window_of(c), was;
    struct osp_key_names        names;
    bool                        exact = false;
    enum osp_err                e = osp_octx_key_names(c, &names);

    if (e == OSP_OK)
        e = save_sender(st, c, names.sender, &exact);
    if (e == OSP_OK)
        e = osp_record_get_recipient(st->store, names.recipient, &was);
    if (e != OSP_OK)
        return e;
    if (!exact && now.used_v < was.used_v)
        now.used_v = was.used_v;
    return osp_record_put_recipient(st->store, names.recipient, &now);
}

/* Writes and forgets kept contexts until the store knows of all. */
static enum osp_err
flush_kept(struct osp_state *st)
{
    enum osp_err e = OSP_OK;

    while (e == OSP_OK && st->kept && osp_kept_is_due(st->kept))
        e = write_leases(st, NULL, NULL, 0);
    return e;
}

enum osp_err
osp_state_forget_kept(struct osp_state *st)
{
    enum osp_err e;

    if (!st->store || !st->kept)
        return OSP_OK;
    do                          /* once at least: the mark may not know of the last batch yet */
        e = write_leases(st, NULL, NULL, 0);
    while (e == OSP_OK && osp_kept_unforgotten(st->kept) > 0);
    return e;
}

/* Pages that the last batch gave back can be used after one more commit: a large save needs this room. */
static enum osp_err
settle(struct osp_state *st)
{
    enum osp_err e = state_begin(st);

    if (e != OSP_OK)
        return e;
    osp_store_mark(st->store, true);
    return state_commit(st, 0);
}

enum osp_err
osp_state_save(struct osp_state *st)
{
    enum osp_err e;

    if (!st->store || !st->running)
        return OSP_OK;
    if (st->tainted)
        return OSP_E_STORE;
    e = flush_kept(st);
    if (e == OSP_OK)
        e = settle(st);
    if (e == OSP_OK)
        e = state_begin(st);
    if (e != OSP_OK)
        return e;
    for (size_t i = 0; st->set && i < st->set->count && e == OSP_OK; i++)
        e = with_record(st, &st->set->entries[i], save_context);
    if (e == OSP_OK && st->kept)
        e = osp_kept_each(st->kept, save_context, st);
    if (e != OSP_OK) {
        state_abort(st);
        return e;
    }
    osp_store_mark(st->store, false);
    return state_commit(st, 0);
}

struct osp_store *
osp_state_store(struct osp_state *st)
{
    return st->store;
}
