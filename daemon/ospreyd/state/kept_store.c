/* SPDX-License-Identifier: BSD-2-Clause */
/* Kept contexts and the store: what a batch writes and forgets, how much of it fits, and what an earlier run left. */
#include "daemon/ospreyd/state/kept_impl.h"

#include "msg/target.h"

#define FLUSH_MAX 256           /* entries written or forgotten in one batch */
#define RECORD_BYTES OSP_STORE_VALUE_MAX
#define VERSION 3

/*
 * Contexts of the configuration keep a quarter of the store to themselves, whatever comes from outside.  Sizes are those of the
 * longest rows in pages that are two thirds full: of a kept context with its records, and of another row.
 */
#define SHARE_PERCENT 75
#define BYTES_KEPT 1024
#define BYTES_ROW 160
#define FILL_MAX 95             /* nothing is added to a store that is fuller than this, in per cent */

/* ---- writing ---- */

/* The credential that vouched for `c`. */
static uint64_t
print_of(const struct osp_kept *k, const struct osp_octx *c)
{
    uint32_t i = osp_octx_label(c) & ~OSP_RECIPE_LABEL;

    return i < k->cred_count ? k->creds[i].print : 0;
}

static enum osp_err
write_entry(struct osp_kept *k, struct osp_store *s, struct kept_entry *e)
{
    uint8_t                     bytes[RECORD_BYTES];
    struct osp_wr               w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_sender_record    sender = { .limit = osp_octx_ssn(e->recipe->octx).limit };   /* it may have used some */
    struct osp_recipient_record recipient = { .has_window = false };
    enum osp_err                err;

    osp_wr_u8(&w, VERSION);
    osp_wr_uint(&w, e->made_s, 8);
    osp_wr_uint(&w, e->expires_s, 8);
    osp_wr_uint(&w, print_of(k, e->recipe->octx), 8);
    osp_recipe_write(e->recipe, &w);
    err = osp_wr_bad(&w) ? OSP_E_NOSPACE : osp_record_keep(s, &e->names, osp_wr_slice(&w));
    osp_wipe(bytes, sizeof(bytes));
    osp_octx_usage_ahead(e->recipe->octx, &sender.used_q, &recipient.used_v);
    if (err == OSP_OK)
        err = osp_record_put_sender(s, e->names.sender, &sender);
    return err == OSP_OK ? osp_record_put_recipient(s, e->names.recipient, &recipient) : err;
}

/* Contexts that the store has room for beside its other rows.  A kept context has three rows: its own and two records. */
static size_t
room_in(const struct osp_store *s)
{
    uint64_t kept = osp_store_count(s, OSP_STORE_KEPT), rows = 0;
    size_t   all = osp_store_capacity(s) / 100 * SHARE_PERCENT, others;

    for (int t = OSP_STORE_OLD; t < OSP_STORE_TABLES; t++)
        rows += osp_store_count(s, (enum osp_store_table)t);
    others = (size_t)(rows > 3 * kept ? rows - 3 * kept : 0) * BYTES_ROW;
    return others < all ? (all - others) / BYTES_KEPT : 0;
}

/* Ends contexts that are too many for the store, as many as one batch takes. */
static void
fit(struct osp_kept *k, const struct osp_store *s)
{
    k->room = room_in(s);
    for (size_t i = 0; i < FLUSH_MAX && k->stats.count > kept_limit(k); i++) {
        k->stats.no_room++;
        kept_let_go(k, kept_first_to_go(k));
    }
}

enum osp_err
osp_kept_flush(struct osp_kept *k, struct osp_store *s)
{
    size_t           done = 0;
    enum osp_err     err = OSP_OK;
    struct osp_list *n, *next;

    (void)pthread_mutex_lock(&k->lock);
    fit(k, s);
    for (n = k->todo.next; n != &k->todo && done < FLUSH_MAX && err == OSP_OK; n = next) {
        struct kept_entry *e = OSP_CONTAINER(n, struct kept_entry, todo);

        next = n->next;
        if (!e->gone && osp_store_fill(s) > FILL_MAX) {
            k->stats.no_room++; /* the store is full of other rows; the batch must not fail because of this one */
            kept_let_go(k, e);
            continue;
        }
        err = e->gone ? osp_record_forget_kept(s, e->names.sender) : write_entry(k, s, e);
        if (err == OSP_OK) {
            e->batch = e->gone ? FORGET : WRITE;
            done++;
        }
    }
    (void)pthread_mutex_unlock(&k->lock);
    return err;
}

/* After a batch.  The context may have ended while it was being written: then the next batch removes its rows, if there are
   any. */
static void
settle(struct kept_entry *e, bool committed)
{
    enum kept_work was = e->batch;

    e->batch = NOTHING;
    if (was == WRITE && committed) {
        e->recorded = true;
        osp_recipe_wipe(e->recipe);
        if (!e->gone)
            osp_list_remove(&e->todo);
    } else if ((was == FORGET && committed) || (was == WRITE && e->gone)) {
        kept_free_entry(e);
    }
}

void
osp_kept_flushed(struct osp_kept *k, bool committed)
{
    struct osp_list *n;

    (void)pthread_mutex_lock(&k->lock);
    n = k->todo.next;
    while (n != &k->todo) {
        struct kept_entry *e = OSP_CONTAINER(n, struct kept_entry, todo);

        n = n->next;
        settle(e, committed);
    }
    (void)pthread_mutex_unlock(&k->lock);
}

bool
osp_kept_is_due(struct osp_kept *k)
{
    bool due;

    (void)pthread_mutex_lock(&k->lock);
    due = !osp_list_empty(&k->todo);
    (void)pthread_mutex_unlock(&k->lock);
    return due;
}

size_t
osp_kept_unforgotten(struct osp_kept *k)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&k->lock);
    for (struct osp_list *at = k->todo.next; at != &k->todo; at = at->next)
        n += OSP_CONTAINER(at, struct kept_entry, todo)->gone;
    (void)pthread_mutex_unlock(&k->lock);
    return n;
}

/* ---- what an earlier run kept ---- */

/* Reads one row.  NULL: forget it, since its lifetime is over, its credential is not trusted any more, or it cannot be read. */
static struct kept_entry *
read_entry(struct osp_kept *k, struct osp_slice value, uint64_t now_s, const struct osp_kept_load *how)
{
    struct osp_rd    r = osp_rd_from(value);
    bool             known = osp_rd_u8(&r) == VERSION;
    uint64_t         made_s = osp_rd_uint(&r, 8), expires_s = osp_rd_uint(&r, 8), print = osp_rd_uint(&r, 8);
    struct osp_recipe *m = NULL;
    struct kept_entry    *e;

    if (!known || kept_is_over(expires_s, now_s) || osp_recipe_read(&r, &m) != OSP_OK)
        return NULL;
    e = how->trusts(how->ctx, m->name, print) ? kept_new_entry(m) : NULL;
    if (!e) {
        osp_recipe_free(m);
        return NULL;
    }
    e->made_s = made_s;
    e->expires_s = expires_s;
    osp_octx_set_label(m->octx, osp_kept_label(k, m->name, print));
    return e;
}

static enum osp_err
take_up(struct osp_kept *k, struct kept_entry *e, const uint8_t *old, const struct osp_kept_load *how)
{
    enum osp_err err;

    err = osp_octx_runtime_add_for(k->runtime, e->recipe->octx, e->recipe->leads ? osp_slice_str(e->recipe->peer) : OSP_EMPTY);
    if (err == OSP_OK)
        err = how->restore(how->ctx, e->recipe->octx, old);
    if (err != OSP_OK) {
        (void)osp_octx_runtime_remove(k->runtime, e->recipe->octx);
        kept_free_entry(e);
        return err == OSP_E_EXISTS || err == OSP_E_OVERLOAD ? OSP_E_NOT_FOUND : err;
    }
    e->recorded = !old;
    if (e->recorded)
        osp_recipe_wipe(e->recipe);
    (void)pthread_mutex_lock(&k->lock);
    e->serial = ++k->stats.added;
    kept_insert(k, e);
    (void)pthread_mutex_unlock(&k->lock);
    return OSP_OK;
}

enum osp_err
osp_kept_load(struct osp_kept *k, struct osp_store *s, uint64_t now_s, const struct osp_kept_load *how)
{
    uint8_t          key[OSP_STORE_KEY_LEN];
    struct osp_slice value;
    bool             old;
    enum osp_err     err = osp_record_next_kept(s, true, key, &value, &old);

    while (err == OSP_OK) {
        struct kept_entry *e = read_entry(k, value, now_s, how);

        err = e ? take_up(k, e, old ? key : NULL, how) : OSP_E_NOT_FOUND;
        if (err == OSP_E_NOT_FOUND || (err == OSP_OK && old))
            err = osp_record_forget_kept(s, key);
        if (err == OSP_OK)
            err = osp_record_next_kept(s, false, key, &value, &old);
    }
    return err == OSP_E_NOT_FOUND ? OSP_OK : err;
}

enum osp_err
osp_kept_each(struct osp_kept *k, enum osp_err (*fn)(void *ctx, struct osp_octx *c), void *ctx)
{
    enum osp_err     err = OSP_OK;
    struct osp_list *n;

    (void)pthread_mutex_lock(&k->lock);
    for (n = k->all.next; n != &k->all && err == OSP_OK; n = n->next) {
        struct kept_entry *e = OSP_CONTAINER(n, struct kept_entry, link);

        if (e->recorded)
            err = fn(ctx, e->recipe->octx);
    }
    (void)pthread_mutex_unlock(&k->lock);
    return err;
}
