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
    size_t   per_peer;          /* contexts of one peer of one credential; beyond it the oldest of these goes */
    size_t   reserved;          /* Recipient IDs that may be reserved in the runtime table in addition */
    const char *guests;         /* contexts of this credential name go before all others; NULL: none do */
    uint64_t lifetime_s;        /* 0: no end */
};

/* `cfg` is copied, but cfg->guests is borrowed.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_kept_new(const struct osp_kept_cfg *cfg, struct osp_kept **out);
void osp_kept_free(struct osp_kept *k);

/* The table that lib/proxy looks contexts up in, borrowed. */
struct osp_octx_runtime *osp_kept_runtime(const struct osp_kept *k);

/*
 * The label of the contexts that credential `name` vouches for.  It stays for the life of the process.  A new name, or a name
 * whose `print` (struct cfg_credential) has changed, gets a new label.  0: out of memory.
 */
uint32_t osp_kept_label(struct osp_kept *k, const char *name, uint64_t print);
/* All labels, without OSP_RUNTIME_LABEL, are below this. */
uint32_t osp_kept_label_end(struct osp_kept *k);

/*
 * Keeps `m`, which is in the runtime table, and takes it over.  From now on numbers can be leased for it.  `now_s`: time of day.
 * If there is no place left (`bound`, or the room of the store), the oldest guest goes, or else the oldest of all.
 * False: `m` was freed, since there is no memory, or since `m` is a guest and every place has a context that is not.
 */
bool osp_kept_add(struct osp_kept *k, struct osp_recipe *m, uint64_t now_s);

/* True if `c` is kept at present. */
bool osp_kept_has(struct osp_kept *k, const struct osp_octx *c);

/* ---- the store ---- */

/*
 * In a batch of `s`: writes contexts that are new and forgets those that went, at most a few hundred.  A part of the store is
 * reserved for configured contexts; kept ones that exceed the rest go first.  Errors as osp_record_keep().
 */
OSP_CHECKED enum osp_err osp_kept_flush(struct osp_kept *k, struct osp_store *s);
/* Tells, still in the batch, whether its rows are in the store.  If not, the next flush writes them again. */
void osp_kept_flushed(struct osp_kept *k, bool committed);
/* True if something waits to be written. */
bool osp_kept_is_due(struct osp_kept *k);
/* How many contexts went that the store still has. */
size_t osp_kept_unforgotten(struct osp_kept *k);

/*
 * In a batch: reads the contexts that an earlier run kept.  One whose lifetime is over, or whose credential has changed (`trusts`
 * is false), is forgotten.  `restore` gives each its numbers and window.  `old`: the key under which an older version filed
 * them, else NULL; such a context is written anew with the next flush.  OSP_E_STORE, OSP_E_NOMEM.
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

/* Ends contexts whose lifetime is over; returns how many. */
size_t osp_kept_expire(struct osp_kept *k, uint64_t now_s);
/* After a start or a reload: ends the contexts for which `stays` is false, by their label and IDs; returns how many. */
size_t osp_kept_prune(struct osp_kept *k, bool (*stays)(void *ctx, const struct osp_octx *c), void *ctx);
/* Ends the contexts whose credential or peer matches the pattern; returns how many. */
size_t osp_kept_revoke(struct osp_kept *k, const char *pattern);
/* Writes a line for each context whose credential or peer matches, at most `max` of them. */
void osp_kept_list(struct osp_kept *k, const char *pattern, size_t max, uint64_t now_s, FILE *to);

struct osp_kept_stats {
    uint64_t added, expired, revoked;
    uint64_t replaced;          /* ended for a newer one, since a configured bound was reached */
    uint64_t no_room;           /* ended, or not kept, since the store had no room for more */
    size_t   count;
    size_t   limit;             /* contexts at most, by the configuration and by the room in the store */
};
void osp_kept_stats(struct osp_kept *k, struct osp_kept_stats *out);

#endif
