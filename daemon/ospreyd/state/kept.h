/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts that no configuration holds: EDHOC made them, or re-keying did.  They are kept until their lifetime ends, they
 * are revoked, or whoever vouched for them is configured no longer.
 *
 * Workers add, the store thread writes (osp_state_lease() calls flush in its batch), the main thread expires, lists and
 * revokes: every call is safe from any thread.  What is here is in the runtime table too, and leaves it at once when it goes;
 * its record follows with the next batch.
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_KEPT_H
#define OSP_DAEMON_OSPREYD_STATE_KEPT_H

#include <stdio.h>

#include "daemon/ospreyd/state/records.h"
#include "oscore/recipe.h"
#include "oscore/runtime.h"

struct osp_kept;

struct osp_kept_cfg {
    size_t   bound;             /* contexts at most; beyond it the oldest goes */
    size_t   per_peer;          /* of one peer of one credential; beyond it the oldest of them goes */
    size_t   reserved;          /* Recipient IDs that may be reserved in the runtime table beside them */
    const char *guests;         /* contexts of this credential name go before all others; NULL: none do */
    uint64_t lifetime_s;        /* 0: no end */
};

/* OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_kept_new(const struct osp_kept_cfg *cfg, struct osp_kept **out);
void osp_kept_free(struct osp_kept *k);

/* The table that lib/proxy looks contexts up in, borrowed. */
struct osp_octx_runtime *osp_kept_runtime(const struct osp_kept *k);

/*
 * The label of the contexts that credential `name` vouches for, the same for the life of the process; what is new, or has
 * another `print` (struct cfg_credential) than it had, gets a new one.  0: out of memory.
 */
uint32_t osp_kept_label(struct osp_kept *k, const char *name, uint64_t print);
/* All labels are below; without OSP_RECIPE_LABEL. */
uint32_t osp_kept_label_end(struct osp_kept *k);

/*
 * Keeps `m`, which is in the runtime table; takes it over.  Its numbers can be leased from here on.  `now_s`: the time of day.
 * If the bound is reached, or what the store has room for, the oldest guest goes, or else the oldest of all.
 * False: it is gone; out of memory, or it is a guest and there is room only for what is kept of others.
 */
bool osp_kept_add(struct osp_kept *k, struct osp_recipe *m, uint64_t now_s);

/* False: it is not here (any more). */
bool osp_kept_has(struct osp_kept *k, const struct osp_octx *c);

/* ---- the store ---- */

/*
 * In a batch of `s`: what is new and what has gone, at most a few hundred.  Contexts that no configuration holds leave a part of
 * the store to those that are configured: what exceeds that part goes first.  As osp_record_keep().
 */
OSP_CHECKED enum osp_err osp_kept_flush(struct osp_kept *k, struct osp_store *s);
/* Still in the batch: its rows are in the store, or not; then it is done again with the next. */
void osp_kept_flushed(struct osp_kept *k, bool committed);
/* True if something waits to be written. */
bool osp_kept_is_due(struct osp_kept *k);
/* Contexts that went and that the store still has. */
size_t osp_kept_unforgotten(struct osp_kept *k);

/*
 * In a batch: takes up what the store kept, if `trusts` says that its credential is still what it was and its lifetime is
 * not over; the rest is forgotten.  `restore` gives each its past; `old`: what its records are filed under if a version
 * before wrote them, else NULL.  Such a context is written anew with the next flush.  OSP_E_STORE, OSP_E_NOMEM.
 */
struct osp_kept_load {
    bool (*trusts)(void *ctx, const char *name, uint64_t print);
    enum osp_err (*restore)(void *ctx, struct osp_octx *c, const uint8_t *old);
    void *ctx;
};
OSP_CHECKED enum osp_err osp_kept_load(struct osp_kept *k, struct osp_store *s, uint64_t now_s, const struct osp_kept_load *how);

/* Calls `fn` for each context that the store knows, until it returns something else than OSP_OK. */
OSP_CHECKED enum osp_err osp_kept_each(struct osp_kept *k, enum osp_err (*fn)(void *ctx, struct osp_octx *c), void *ctx);

/* ---- the main thread ---- */

/* Lets go what is out of date; how many. */
size_t osp_kept_expire(struct osp_kept *k, uint64_t now_s);
/* Lets go what `stays` denies (after a start or a reload); it judges the label and the identifiers. */
size_t osp_kept_prune(struct osp_kept *k, bool (*stays)(void *ctx, const struct osp_octx *c), void *ctx);
/* Lets go all whose credential or peer matches the pattern; how many. */
size_t osp_kept_revoke(struct osp_kept *k, const char *pattern);
/* Lines of text for those whose credential or peer matches, `max` of them. */
void osp_kept_list(struct osp_kept *k, const char *pattern, size_t max, uint64_t now_s, FILE *to);

struct osp_kept_stats {
    uint64_t added, expired, revoked;
    uint64_t replaced;          /* went for a newer one, as a bound of the configuration was reached */
    uint64_t no_room;           /* went, or did not get in, as the store had no room for more */
    size_t   count;
    size_t   limit;             /* contexts at most, by the configuration and by the room in the store */
};
void osp_kept_stats(struct osp_kept *k, struct osp_kept_stats *out);

#endif
