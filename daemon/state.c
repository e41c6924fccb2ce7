/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/records.h"
#include "daemon/rekeyed.h"

#define SSN_END (OSP_PIV_MAX + 1)

struct osp_state {
    struct osp_store  *store;           /* NULL: no state directory, so no contexts */
    unsigned           block;
    atomic_uint_fast64_t numbers;       /* leased in this run */
    bool               tainted;         /* a window could not be saved: the stop must count as unclean */
    bool               running;         /* the mark is durable */
    bool               dry;             /* only builds sets */
    pthread_mutex_t    lock;            /* guards the two sets against the store thread */
    struct osp_ctxset *set, *next;
    struct osp_kept   *kept;            /* NULL: none */
    bool               kept_loaded;
    const struct osp_cfg *loading;      /* the configuration whose credentials are asked, during load_kept() */
};

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

/* ---- records ---- */

static void
set_window(struct osp_record *r, struct osp_octx *c)
{
    struct osp_replay w;

    r->has_window = osp_octx_get_window(c, &w) == OSP_WINDOW_KNOWN;
    r->window = r->has_window ? w : (struct osp_replay){ 0 };
}

/* A context whose past is in the store: its numbers start where those that may have been used end. */
static void
restore(const struct osp_state *st, struct osp_octx *c, const struct osp_record *r)
{
    osp_octx_grant(c, r->limit, r->limit);
    osp_octx_usage_restore(c, r->used_q, r->used_v);
    if (r->has_window && !st->tainted)
        osp_octx_set_window(c, &r->window);
}

/* A context that the store does not know. */
static void
start_new(struct osp_octx *c, const struct cfg_context *cfg)
{
    struct osp_replay empty = { 0 };

    osp_octx_usage_restore(c, 0, 0);
    if (cfg->fresh)
        osp_octx_set_window(c, &empty);
    else
        log_warning("context-without-record", "context=%s advice=%s", cfg->name,
                    "if this node used these keys before, provision new ones: sequence numbers start at 0");
}

/* A base has no record; what it was derived to in an earlier run has one. */
static enum osp_err
load_base(struct osp_state *st, const struct osp_ctx_entry *e)
{
    struct osp_record r;
    struct osp_octx  *c = NULL;
    enum osp_err      err = osp_rekeyed_load(st->store, e->octx, e->key, &c, &r);

    if (err == OSP_OK)
        restore(st, c, &r);
    return err == OSP_E_NOT_FOUND ? OSP_OK : err;
}

static enum osp_err
load_entry(struct osp_state *st, struct osp_ctx_entry *e, const struct cfg_context *cfg)
{
    struct osp_record r, nothing = { 0 };
    enum osp_err      err = e->is_base ? OSP_OK : osp_record_get(st->store, e->key, &r);

    if (e->is_base)
        return load_base(st, e);

    if (err == OSP_OK) {
        restore(st, e->octx, &r);
        return OSP_OK;
    }
    if (err != OSP_E_NOT_FOUND)
        return err;
    start_new(e->octx, cfg);
    /* From now on it is known, so `fresh` counts only once; and the store proves now that it has room for it. */
    return osp_record_put(st->store, e->key, &nothing);
}

/* ---- contexts that no configuration holds ---- */

static bool
is_trusted(void *ctx, const char *name, uint64_t print)
{
    const struct osp_state *st = ctx;

    return cfg_edhoc_trusts(&st->loading->edhoc, name, print);
}

static enum osp_err
restore_kept(void *ctx, struct osp_octx *c, const uint8_t key[OSP_STORE_KEY_LEN])
{
    struct osp_state *st = ctx;
    struct osp_record r;
    enum osp_err      e = osp_record_get(st->store, key, &r);

    if (e == OSP_OK)
        restore(st, c, &r);
    return e;
}

/* Those of the runs before, once; later only those whose credential is trusted no longer go. */
static enum osp_err
load_kept(struct osp_state *st, const struct osp_cfg *cfg)
{
    struct osp_kept_load how = { is_trusted, restore_kept, st };
    enum osp_err         e;

    if (!st->kept || st->kept_loaded)
        return OSP_OK;
    st->loading = cfg;
    e = osp_kept_load(st->kept, st->store, (uint64_t)time(NULL), &how);
    st->kept_loaded = e == OSP_OK;
    return e;
}

static enum osp_err
load_all(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg)
{
    enum osp_err e = osp_store_begin(st->store);

    if (e != OSP_OK)
        return e;
    for (size_t i = 0; i < set->count && e == OSP_OK; i++)
        e = set->entries[i].is_new ? load_entry(st, &set->entries[i], &cfg->contexts[i]) : OSP_OK;
    if (e == OSP_OK)
        e = load_kept(st, cfg);
    if (e == OSP_OK && !st->running)
        osp_store_mark(st->store, true);
    if (e == OSP_OK)
        e = osp_store_reserve(st->store);
    if (e != OSP_OK) {
        osp_store_abort(st->store);
        return e;
    }
    return osp_store_commit(st->store);
}

enum osp_err
osp_state_prepare(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e = st->store ? load_all(st, set, cfg) : OSP_OK;

    if (e != OSP_OK) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state %s: %s (%s)", cfg->state ? cfg->state : "",
                       e == OSP_E_NOSPACE ? "full; raise state-size" : "cannot be read or written; check the disk",
                       osp_store_error(st->store));
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
 * Saves the window of a context that is configured no longer.  Its limit and its usage stay as leased: an exchange in
 * flight may still use numbers below it.
 */
static enum osp_err
retire_context(void *ctx, struct osp_octx *c, const uint8_t key[OSP_STORE_KEY_LEN])
{
    struct osp_state *st = ctx;
    struct osp_record r;
    enum osp_err      err = osp_record_get(st->store, key, &r);

    if (err != OSP_OK)
        return err;
    set_window(&r, c);
    return r.has_window ? osp_record_put(st->store, key, &r) : OSP_OK;
}

/* Calls `fn` with the context of an entry that is in use, if there is one, and the key of its record, which there is then. */
static enum osp_err
with_record(struct osp_state *st, const struct osp_ctx_entry *e,
            enum osp_err (*fn)(void *ctx, struct osp_octx *c, const uint8_t key[OSP_STORE_KEY_LEN]))
{
    struct osp_octx *c = e->is_base ? osp_b2_current(e->octx) : e->octx;
    uint8_t          key[OSP_STORE_KEY_LEN];
    enum osp_err     err = OSP_OK;

    if (!e->is_base)
        return fn(st, c, e->key);
    if (c)
        err = osp_rekeyed_enroll(st->store, e->octx, e->key, c, key);
    if (c && err == OSP_OK)
        err = fn(st, c, key);
    osp_octx_unref(c);
    return err;
}

static enum osp_err
retire_missing(struct osp_state *st, const struct osp_ctxset *old, const struct osp_ctxset *set)
{
    enum osp_err e = osp_store_begin(st->store);

    if (e != OSP_OK)
        return e;
    for (size_t i = 0; i < old->count && e == OSP_OK; i++) {
        if (!osp_ctxset_by_key(set, old->entries[i].key))
            e = with_record(st, &old->entries[i], retire_context);
    }
    if (e == OSP_OK)
        return osp_store_commit(st->store);
    osp_store_abort(st->store);
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
    for (size_t i = 0; old && i < old->count; i++)      /* what was observed under it ends */
        if (!osp_ctxset_by_key(set, old->entries[i].key))
            osp_octx_put_out_of_use(old->entries[i].octx);
    if (old && st->store && retire_missing(st, old, set) != OSP_OK) {
        /* A window saved earlier would be taken for this one later: void them all at the next start. */
        st->tainted = true;
        log_error("state-write-failed", "reason=%s effect=%s", osp_store_error(st->store),
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
    uint8_t  key[OSP_STORE_KEY_LEN];    /* a copy: the set may be replaced meanwhile */
    struct osp_octx *base;              /* whose current context it is, a reference; NULL: of none */
    bool     recorded;                  /* `q` and `v` are what the store will know */
    uint64_t at_least, limit, count;    /* the numbers granted; limit 0: none */
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
        memcpy(l->key, e->key, sizeof(l->key));
    l->base = e && e->is_base ? e->octx : NULL;
    if (l->base)
        osp_octx_ref(l->base);
    (void)pthread_mutex_unlock(&st->lock);
    l->is_kept = !e && st->kept && osp_kept_find(st->kept, c, l->key);
    l->found = e || l->is_kept;
}

/*
 * Writes the usage of the keys down, and with it the next block of numbers if they run low: whoever makes us fail to decrypt
 * costs a write now and then, but no numbers.
 * The next block begins where the store's limit is: normally that of the object, so that no number is
 * skipped.  Where they differ (an object that came and went) the store's is the higher one.
 */
static enum osp_err
lease_one(struct osp_state *st, struct osp_octx *c, struct lease *l)
{
    struct osp_ssn    ssn = osp_octx_ssn(c);
    struct osp_record r, next = { 0 };
    enum osp_err      e = osp_record_get(st->store, l->key, &r);

    if (e == OSP_E_NOT_FOUND) /* a kept one that the next flush writes; the others have had one since prepare */
        return l->is_kept ? OSP_OK : OSP_E_STORE;
    if (e != OSP_OK)
        return e;
    osp_octx_usage_ahead(c, &l->q, &l->v);
    if (r.limit < ssn.limit)
        r.limit = ssn.limit;
    if (osp_octx_needs_numbers(c, st->block / 2)) {
        l->at_least = r.limit == ssn.limit ? 0 : r.limit;
        l->limit = r.limit + st->block < SSN_END ? r.limit + st->block : SSN_END; /* [rfc8613#7.2.1] the end of the space */
        l->count = l->limit - r.limit;
    }
    l->recorded = true;
    next.limit = l->limit ? l->limit : r.limit;
    next.used_q = l->q > r.used_q ? l->q : r.used_q;
    next.used_v = l->v > r.used_v ? l->v : r.used_v;
    return osp_record_put(st->store, l->key, &next);
}

static enum osp_err
enroll(struct osp_state *st, struct osp_octx *c, struct lease *l)
{
    uint8_t      key[OSP_STORE_KEY_LEN];
    enum osp_err e = osp_rekeyed_enroll(st->store, l->base, l->key, c, key);

    osp_octx_unref(l->base);
    l->base = NULL;
    memcpy(l->key, key, sizeof(key));
    return e;
}

static enum osp_err
write_leases(struct osp_state *st, struct osp_octx *const *ctxs, struct lease *leases, size_t count)
{
    enum osp_err e = osp_store_begin(st->store);

    if (e != OSP_OK)
        return e;
    if (st->kept)
        e = osp_kept_flush(st->kept, st->store);
    for (size_t i = 0; e == OSP_OK && i < count; i++) {
        find_leased(st, ctxs[i], &leases[i]);
        if (leases[i].base)     /* [rfc8613#B.2] no number of it before the next run would find it */
            e = enroll(st, ctxs[i], &leases[i]);
        if (e == OSP_OK && leases[i].found)
            e = lease_one(st, ctxs[i], &leases[i]);
    }
    if (e == OSP_OK)
        e = osp_store_commit(st->store);
    else
        osp_store_abort(st->store);
    if (st->kept)
        osp_kept_flushed(st->kept, e == OSP_OK);
    return e;
}

/* There is no store: what lives no longer than the process needs none. */
static enum osp_err
grant_volatile(struct osp_state *st, struct osp_octx *const *ctxs, struct lease *leases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        leases[i].found = st->kept && osp_kept_find(st->kept, ctxs[i], leases[i].key);
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
        if (e == OSP_OK && leases[i].limit) {   /* [rfc8613#B.1.1] only now, when the limit is on disk */
            osp_octx_grant(ctxs[i], leases[i].at_least, leases[i].limit);
            atomic_fetch_add_explicit(&st->numbers, leases[i].count, memory_order_relaxed);
        } else {
            if (e == OSP_OK && !leases[i].found)
                osp_octx_usage_abandon(ctxs[i]); /* or it would ask for ever */
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

enum osp_err
osp_state_open(const struct osp_cfg *cfg, struct osp_state **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_state *st = calloc(1, sizeof(*st));
    enum osp_err      e;

    if (!st) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state: out of memory");
        return OSP_E_NOMEM;
    }
    e = cfg->state ? osp_store_open(cfg->state, cfg->state_size, &st->store, why) : OSP_OK;
    if (e == OSP_E_NOT_FOUND)
        e = osp_store_create(cfg->state, cfg->state_size, &st->store, why);
    if (e != OSP_OK) {
        free(st);
        return OSP_E_STORE;
    }
    st->block = cfg->lease.block;
    (void)pthread_mutex_init(&st->lock, NULL);
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
    struct osp_state *st = calloc(1, sizeof(*st));

    if (!st)
        return OSP_E_NOMEM;
    st->dry = true;
    (void)pthread_mutex_init(&st->lock, NULL);
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
    (void)pthread_mutex_destroy(&st->lock);
    free(st);
}

static enum osp_err
save_context(void *ctx, struct osp_octx *c, const uint8_t key[OSP_STORE_KEY_LEN])
{
    struct osp_state    *st = ctx;
    struct osp_ssn       ssn = osp_octx_ssn(c);
    struct osp_key_usage used = osp_octx_usage(c);
    struct osp_record    r;
    enum osp_err         err = osp_record_get(st->store, key, &r);

    if (err != OSP_OK)
        return err;
    /* A limit above this object's: another one, retired with exchanges in flight, may have used what is below. */
    if (r.limit == ssn.limit) {
        r.limit = ssn.next;
        r.used_q = used.q;
        r.used_v = used.v;
    }
    r.used_q = used.q > r.used_q ? used.q : r.used_q;
    r.used_v = used.v > r.used_v ? used.v : r.used_v;
    set_window(&r, c);
    return osp_record_put(st->store, key, &r);
}

/* Writes what the store has not heard of yet of the kept contexts. */
static enum osp_err
flush_kept(struct osp_state *st)
{
    enum osp_err e = OSP_OK;

    while (e == OSP_OK && st->kept && osp_kept_is_due(st->kept))
        e = write_leases(st, NULL, NULL, 0);
    return e;
}

/* What the last batch gave back can be written again only after one more: a large save needs that room. */
static enum osp_err
settle(struct osp_store *s)
{
    enum osp_err e = osp_store_begin(s);

    if (e != OSP_OK)
        return e;
    osp_store_mark(s, true);
    return osp_store_commit(s);
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
        e = settle(st->store);
    if (e == OSP_OK)
        e = osp_store_begin(st->store);
    if (e != OSP_OK)
        return e;
    for (size_t i = 0; st->set && i < st->set->count && e == OSP_OK; i++)
        e = with_record(st, &st->set->entries[i], save_context);
    if (e == OSP_OK && st->kept)
        e = osp_kept_each(st->kept, save_context, st);
    if (e != OSP_OK) {
        osp_store_abort(st->store);
        return e;
    }
    osp_store_mark(st->store, false);
    return osp_store_commit(st->store);
}

struct osp_store *
osp_state_store(struct osp_state *st)
{
    return st->store;
}
