/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of each table one client may have, and how often it may ask, over all workers.
 *
 * A *client* is what the caller has a key for: a security context, or an address.  A *prefix* is the network that the address
 * of an unknown client lies in.  Known clients are those who have proven a key; unknown ones are everybody else.
 *
 *     struct osp_shares     one for the process: the bounds, rates, and what clients have beyond a small part of their share
 *     struct osp_ledger     one for each worker: what is in use here
 *     struct osp_account    what one client, or one prefix, has at this worker
 *
 * A worker lets a client have a quarter of the worker's part of its share without asking anybody.  The rest of the share
 * is common to all workers: only a client that has much takes a lock, and all workers together give it its share at most.
 * The ledger has one owner thread; osp_shares_* may be called from any thread.
 */
#ifndef OSP_BASE_SHARE_H
#define OSP_BASE_SHARE_H

#include <stdbool.h>

#include "base/hash.h"
#include "base/pool.h"
#include "base/table.h"
#include "base/time.h"

/* The tables. */
enum osp_share_kind { OSP_SHARE_EXCHANGES, OSP_SHARE_OBSERVATIONS, OSP_SHARE_BODIES, OSP_SHARE_SEPARATE, OSP_SHARE_KINDS };

/* Why something was refused: the table is full, or has only the reserve for known clients left; or the share is used up. */
enum osp_share_why { OSP_SHARE_FULL, OSP_SHARE_RESERVE, OSP_SHARE_CLIENT, OSP_SHARE_PREFIX, OSP_SHARE_WHYS };

struct osp_shares_cfg {
    unsigned workers;                   /* at least 1 */
    size_t   bound[OSP_SHARE_KINDS];    /* entries of each table, of all workers together */
    unsigned client, prefix;            /* percent of a table that one client, or all unknown clients of one prefix, may have */
    unsigned reserve;                   /* percent of a table that unknown clients leave free */
    size_t   rates;                     /* clients whose rate is remembered */
};

struct osp_shares;

/* OSP_E_NOMEM.  `key` is for osp_shares_key(), and secret. */
OSP_CHECKED enum osp_err osp_shares_new(const struct osp_shares_cfg *cfg, struct osp_hash_key key, struct osp_shares **out);
void osp_shares_free(struct osp_shares *s);

/* The bound of the table, as configured. */
size_t osp_shares_bound(const struct osp_shares *s, enum osp_share_kind kind);

/* The key for hashes that name a client: they are the same at all workers. */
const struct osp_hash_key *osp_shares_key(const struct osp_shares *s);

/*
 * Counts one request of client `key`, who may make `burst` at once and `rate` a second in the long run, both at least 1.
 * False: it is one too many, and does not count.  Where too many clients are at their limit, the one that is the farthest from it
 * is forgotten.
 */
bool osp_shares_rate(struct osp_shares *s, uint64_t key, uint32_t rate, uint32_t burst, struct osp_time now);

/* How often was refused, of known and of unknown clients, since the start. */
uint64_t osp_shares_refused(const struct osp_shares *s, enum osp_share_kind kind, bool known, enum osp_share_why why);

/* ---- of one worker ---- */

struct osp_account {
    struct osp_node     node;           /* in ledger.accounts by key */
    struct osp_account *prefix;         /* NULL: it is a prefix, or a known client */
    uint32_t            held[OSP_SHARE_KINDS];
    uint32_t            common[OSP_SHARE_KINDS];        /* of them, those out of the part that all workers share */
    uint32_t            refs;
    bool                known, is_prefix;
};

struct osp_ledger {                     /* private to share.c, but for `used` */
    struct osp_shares *shares;
    struct osp_pool   *pool;
    struct osp_table   accounts;
    size_t             used[OSP_SHARE_KINDS][2];        /* entries in use by unknown [0] and by known clients [1] */
};

/* An empty ledger; `shares` and `pool` must outlive it.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_ledger_init(struct osp_ledger *l, struct osp_shares *shares, struct osp_pool *pool);
void osp_ledger_fini(struct osp_ledger *l);

/*
 * The account of client `key` with a reference, for osp_ledger_close(); unknown clients have a prefix, with a key of its
 * own.  NULL without memory.
 */
struct osp_account *osp_ledger_open(struct osp_ledger *l, uint64_t key, bool known, uint64_t prefix);
void osp_ledger_close(struct osp_ledger *l, struct osp_account *a);

/*
 * One more entry of table `kind`.  It has a reference on the account until osp_ledger_give().  False: refused, and counted;
 * nothing was changed.
 */
bool osp_ledger_take(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind);
void osp_ledger_give(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind);

/*
 * An entry of `a` in place of one of `leaving`, whose reference ends: the table has as many as before.  False: refused, and
 * counted; nothing was changed.
 */
bool osp_ledger_take_over(struct osp_ledger *l, struct osp_account *a, struct osp_account *leaving, enum osp_share_kind kind);

/* Counts a refusal that the caller found out about. */
void osp_ledger_refuse(struct osp_ledger *l, bool known, enum osp_share_kind kind, enum osp_share_why why);

/* How many entries of the worker's table `kind` unknown clients have to leave free. */
size_t osp_ledger_reserve(const struct osp_ledger *l, enum osp_share_kind kind);

#endif
