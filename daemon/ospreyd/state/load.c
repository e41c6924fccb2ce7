/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How contexts get their past from the records.
 *
 * Numbers come with the Sender Key and windows with the Recipient Key, whatever else of a context changed.  A window is known
 * only if no object of this process has taken requests under its key since it was saved: before new contexts are loaded, the
 * records of those that are about to leave are voided.
 */
#include "daemon/ospreyd/state/impl.h"

#include <stdio.h>
#include <time.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/state/rekeyed.h"

struct osp_recipient_record
state_window_of(struct osp_octx *c)
{
    struct osp_recipient_record r = { .used_v = osp_octx_usage(c).v };

    r.has_window = osp_octx_get_window(c, &r.window) == OSP_WINDOW_KNOWN;
    if (!r.has_window)
        r.window = (struct osp_replay){ 0 };
    return r;
}

/* Sets where the numbers of a context start: behind all that may have been used. */
static void
restore(const struct osp_state *st, struct osp_octx *c, const struct osp_sender_record *sender,
        const struct osp_recipient_record *recipient)
{
    osp_octx_grant(c, sender->limit, sender->limit);
    osp_octx_usage_restore(c, sender->used_q, recipient->used_v);
    if (recipient->has_window && !st->tainted)
        osp_octx_set_window(c, &recipient->window);
}

/* ---- contexts of the configuration ---- */

/* Takes over what an older version recorded of the context, and files it under the keys.  OSP_E_NOT_FOUND: it recorded
   nothing. */
static enum osp_err
claim_old(struct osp_state *st, const uint8_t print[OSP_STORE_KEY_LEN], struct osp_sender_record *sender,
          struct osp_recipient_record *recipient)
{
    uint64_t     floor = 0;
    enum osp_err e = osp_store_count(st->store, OSP_STORE_OLD) ? osp_record_get_old(st->store, print, sender, recipient)
                                                               : OSP_E_NOT_FOUND;

    if (e == OSP_OK && st->in_doubt) {
        e = osp_record_old_limit(st->store, &floor);
        sender->limit = sender->limit > floor ? sender->limit : floor;
        recipient->has_window = false;
    }
    return e == OSP_OK ? osp_record_drop_old(st->store, print) : e;
}

/*
 * The number at which a key without a record starts; 0: nothing was ever lost.  A record of an older version whose context is not
 * configured may belong to any key, since the parameters that it is filed under may have been edited.
 */
static enum osp_err
floor_of(struct osp_state *st, uint64_t *out)
{
    uint64_t     floor = 0, old = 0;
    enum osp_err e = osp_record_get_floor(st->store, &floor);

    if (e == OSP_OK)
        e = osp_record_old_limit(st->store, &old);
    *out = floor > old ? floor : old;
    return e;
}

/* `fresh` is believed once for each Recipient Key: when it has no record and no record can have been lost. */
static void
start_recipient(const struct osp_state *st, const struct cfg_context *cfg, uint64_t floor, struct osp_recipient_record *r)
{
    bool sure = floor == 0 && osp_store_count(st->store, OSP_STORE_OLD) == 0;

    *r = (struct osp_recipient_record){ .has_window = cfg->fresh && sure };
}

static void
warn_unknown(const struct cfg_context *cfg)
{
    if (!cfg->fresh)
        log_warning("context-without-record", "context=%s advice=%s", cfg->name,
                    "if this node used these keys before, provision new ones: sequence numbers start at 0");
}

/* Reads what the records say of the keys, and writes the records that are missing. */
static enum osp_err
find_records(struct osp_state *st, const struct osp_ctx_entry *e, const struct cfg_context *cfg,
             const struct osp_key_names *names, struct osp_sender_record *sender, struct osp_recipient_record *recipient)
{
    uint64_t     floor = 0;
    enum osp_err es = osp_record_get_sender(st->store, names->sender, sender);
    enum osp_err er = osp_record_get_recipient(st->store, names->recipient, recipient);
    enum osp_err err = OSP_OK;

    if ((es != OSP_OK && es != OSP_E_NOT_FOUND) || (er != OSP_OK && er != OSP_E_NOT_FOUND))
        return OSP_E_STORE;
    if (es == OSP_OK && er == OSP_OK)
        return OSP_OK;
    if (es != OSP_OK && er != OSP_OK)
        err = claim_old(st, e->key, sender, recipient);
    else
        err = OSP_E_NOT_FOUND;
    if (err == OSP_E_NOT_FOUND) {
        err = floor_of(st, &floor);
        if (es != OSP_OK) {
            *sender = (struct osp_sender_record){ .limit = floor };
            warn_unknown(cfg);
        }
        if (er != OSP_OK)
            start_recipient(st, cfg, floor, recipient);
    }
    /* Written at once: so `fresh` is believed only once, and a store without room for the records fails now. */
    if (err == OSP_OK && es != OSP_OK)
        err = osp_record_put_sender(st->store, names->sender, sender);
    if (err == OSP_OK && er != OSP_OK)
        err = osp_record_put_recipient(st->store, names->recipient, recipient);
    return err;
}

static enum osp_err
say_role(const struct cfg_context *cfg, bool sender, char why[OSP_STORE_WHY_MAX])
{
    (void)snprintf(why, OSP_STORE_WHY_MAX,
                   "context %s: its %s was used as a %s before (were sender-id and recipient-id swapped?), so sequence "
                   "numbers would be used twice; put it right, or provision new keys for both ends", cfg->name,
                   sender ? "Sender Key" : "Recipient Key", sender ? "Recipient Key" : "Sender Key");
    return OSP_E_EXISTS;
}

static enum osp_err
load_entry(struct osp_state *st, struct osp_ctx_entry *e, const struct cfg_context *cfg, char why[OSP_STORE_WHY_MAX])
{
    struct osp_sender_record    sender;
    struct osp_recipient_record recipient;
    struct osp_key_names        names;
    bool                        is_sender;
    enum osp_err                err = osp_octx_key_names(e->octx, &names);

    if (err == OSP_OK)
        err = osp_record_check_roles(st->store, &names, &is_sender);
    if (err == OSP_E_EXISTS)
        return say_role(cfg, is_sender, why);
    if (err == OSP_OK)
        err = find_records(st, e, cfg, &names, &sender, &recipient);
    if (err == OSP_OK)
        restore(st, e->octx, &sender, &recipient);
    return err;
}

/* A base has no records; the context that was derived from it in an earlier run has. */
static enum osp_err
load_base(struct osp_state *st, const struct osp_ctx_entry *e)
{
    struct osp_sender_record    sender;
    struct osp_recipient_record recipient;
    struct osp_octx            *c = NULL;
    enum osp_err                err = osp_rekeyed_load(st->store, e->octx, e->key, &c, &sender, &recipient);

    if (err == OSP_OK)
        restore(st, c, &sender, &recipient);
    return err == OSP_E_NOT_FOUND ? OSP_OK : err;
}

/* ---- contexts that no configuration holds ---- */

static bool
is_trusted(void *ctx, const char *name, uint64_t print)
{
    const struct osp_state *st = ctx;

    return cfg_edhoc_trusts(&st->loading->edhoc, name, print);
}

static enum osp_err
restore_kept(void *ctx, struct osp_octx *c, const uint8_t *old)
{
    struct osp_state           *st = ctx;
    struct osp_sender_record    sender;
    struct osp_recipient_record recipient;
    struct osp_key_names        names;
    enum osp_err                e = osp_octx_key_names(c, &names);

    if (e == OSP_OK && old)
        e = osp_record_get_old(st->store, old, &sender, &recipient);
    else if (e == OSP_OK)
        e = osp_record_get_sender(st->store, names.sender, &sender);
    if (e == OSP_OK && !old)
        e = osp_record_get_recipient(st->store, names.recipient, &recipient);
    if (e == OSP_OK)
        restore(st, c, &sender, &recipient);
    return e;
}

/* Loads the kept contexts of earlier runs, once, at the start.  osp_kept_prune() judges them again at each reload. */
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

/* ---- all ---- */

/* While a context is in use its window moves on, so the one in its record is void: nobody may start with it later. */
static enum osp_err
void_window(struct osp_state *st, const struct osp_ctx_entry *e)
{
    struct osp_octx            *c = e->is_base ? osp_b2_current(e->octx) : e->octx;
    struct osp_recipient_record r;
    struct osp_key_names        names;
    enum osp_err                err = c ? osp_octx_key_names(c, &names) : OSP_E_NOT_FOUND;

    if (c && e->is_base)
        osp_octx_unref(c);
    if (err == OSP_OK)
        err = osp_record_get_recipient(st->store, names.recipient, &r);
    if (err == OSP_E_NOT_FOUND || (err == OSP_OK && !r.has_window))
        return OSP_OK;
    r.has_window = false;
    return err == OSP_OK ? osp_record_put_recipient(st->store, names.recipient, &r) : err;
}

/* True for an entry that does not wait for old records: an older version recorded it, or it is a base. */
static bool
is_known(struct osp_state *st, const struct osp_ctx_entry *e)
{
    struct osp_slice row;

    return e->is_base ||
           (osp_store_count(st->store, OSP_STORE_OLD) && osp_store_get(st->store, OSP_STORE_OLD, e->key, &row) == OSP_OK);
}

static enum osp_err
load_entries(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg, bool known, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e = OSP_OK;

    for (size_t i = 0; i < set->count && e == OSP_OK; i++) {
        struct osp_ctx_entry *c = &set->entries[i];

        if (!c->is_new || c->is_loaded || (known && !is_known(st, c)))
            continue;
        e = c->is_base ? load_base(st, c) : load_entry(st, c, &cfg->contexts[i], why);
        c->is_loaded = e == OSP_OK;
    }
    return e;
}

/*
 * True if an older version left records that belong to none of these contexts.  That version filed a key anew when an ID was
 * edited, so such a record may belong to a key of these contexts, and have higher numbers.
 */
static bool
has_unclaimed(struct osp_state *st, const struct osp_ctxset *set)
{
    uint64_t known = 0;

    for (size_t i = 0; i < set->count && osp_store_count(st->store, OSP_STORE_OLD) > 0; i++)
        known += !set->entries[i].is_base && is_known(st, &set->entries[i]);
    return osp_store_count(st->store, OSP_STORE_OLD) > known;
}

/*
 * Contexts that an older version recorded are loaded first, kept ones before configured ones.  Only then is it known which old
 * records are left over, and so where keys without a record have to start.
 */
enum osp_err
state_load(struct osp_state *st, struct osp_ctxset *set, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e = OSP_OK;

    for (size_t i = 0; st->set && i < st->set->count && e == OSP_OK; i++) {
        if (!osp_ctxset_by_key(set, st->set->entries[i].key))
            e = void_window(st, &st->set->entries[i]);
    }
    if (e == OSP_OK)
        e = load_kept(st, cfg);
    st->in_doubt = has_unclaimed(st, set);
    if (e == OSP_OK)
        e = load_entries(st, set, cfg, true, why);
    return e == OSP_OK ? load_entries(st, set, cfg, false, why) : e;
}
