/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of each table one client may have, and how often it may ask, over all workers.
 *
 * A *client* is a security context or an address; the caller names it by a 64-bit number.  A *known* client has proven a secret
 * key; all others are unknown.  A *prefix* is the network that the address of an unknown client lies in.
 *
 *     struct osp_shares     one for the process: bounds, rates, and entries that clients have beyond a small part of their share
 *     struct osp_ledger     one for each worker: the entries in use at this worker
 *     struct osp_account    the entries that one client, or one prefix, has at this worker
 *
 * A worker lets a client have a quarter of the worker's part of its share without taking a lock.  The rest of the share is
 * common to all workers and behind a lock, so that all workers together never give a client more than its share.
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

/* Why an entry was refused: the table is full, only the reserve for known clients is left, or a share is used up. */
enum osp_share_why { OSP_SHARE_FULL, OSP_SHARE_RESERVE, OSP_SHARE_CLIENT, OSP_SHARE_PREFIX, OSP_SHARE_WHYS };

struct osp_shares_cfg {
    unsigned workers;                   /* at least 1 */
    size_t   bound[OSP_SHARE_KINDS];    /* entries of each table, of all workers together */
    unsigned client, prefix;            /* percent of a table that one client, or all unknown clients of one prefix, may have */
    unsigned reserve;                   /* percent of a table that unknown clients leave free */
    size_t   rates;                     /* clients whose rate is remembered */
};

struct osp_shares;

/* Makes the shares of a process.  `key` is secret; osp_shares_key() returns it.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_shares_new(const struct osp_shares_cfg *cfg, struct osp_hash_key key, struct osp_shares **out);
void osp_shares_free(struct osp_shares *s);

/* The bound of the table, as configured. */
size_t osp_shares_bound(const struct osp_shares *s, enum osp_share_kind kind);

/* The key for hashes that name clients, which are equal at all workers. */
const struct osp_hash_key *osp_shares_key(const struct osp_shares *s);

/*
 * Counts one request of client `key`, who may make `burst` at once and `rate` a second in the long run, both at least 1.
 * False: the request exceeds the rate, and is not counted.  If too many clients have to be remembered, the client that is
 * farthest from its limit is forgotten.
 */
bool osp_shares_rate(struct osp_shares *s, uint64_t key, uint32_t rate, uint32_t burst, struct osp_time now);

/* How often an entry was refused to known or to unknown clients since the start. */
uint64_t osp_shares_refused(const struct osp_shares *s, enum osp_share_kind kind, bool known, enum osp_share_why why);

/* ---- of one worker ---- */

struct osp_account {
    struct osp_node     node;           /* in ledger.accounts by key */
    struct osp_account *prefix;         /* NULL: this is a prefix or a known client */
    uint32_t            held[OSP_SHARE_KINDS];
    uint32_t            common[OSP_SHARE_KINDS];        /* how many of `held` are from the part common to all workers */
    uint32_t            refs;
    bool                known, is_prefix;
};

struct osp_ledger {                     /* private to share.c, except for `used` */
    struct osp_shares *shares;
    struct osp_pool   *pool;
    struct osp_table   accounts;
    size_t             used[OSP_SHARE_KINDS][2];        /* entries in use by unknown [0] and by known clients [1] */
};

/* An empty ledger; `shares` and `pool` must outlive it.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_ledger_init(struct osp_ledger *l, struct osp_shares *shares, struct osp_pool *pool);
void osp_ledger_fini(struct osp_ledger *l);

/*
 * The account of client `key`, with a reference that osp_ledger_close() drops.  `prefix` is the key of an unknown client's
 * prefix.  NULL: there is no memory.
 */
struct osp_account *osp_ledger_open(struct osp_ledger *l, uint64_t key, bool known, uint64_t prefix);
void osp_ledger_close(struct osp_ledger *l, struct osp_account *a);

/*
 * Takes one more entry of table `kind`, which holds a reference to the account until osp_ledger_give().  False: the entry is
 * refused, and only the refusal was counted.
 */
bool osp_ledger_take(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind);
void osp_ledger_give(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind);

/*
 * Gives an entry of `leaving` to `a`, so that the table has as many entries as before; the reference to `leaving` ends.  False:
 * the entry is refused, and only the refusal was counted.
 */
bool osp_ledger_take_over(struct osp_ledger *l, struct osp_account *a, struct osp_account *leaving, enum osp_share_kind kind);

/* Counts a refusal that the caller decided on. */
void osp_ledger_refuse(struct osp_ledger *l, bool known, enum osp_share_kind kind, enum osp_share_why why);

/* How many entries of the worker's table `kind` unknown clients have to leave free. */
size_t osp_ledger_reserve(const struct osp_ledger *l, enum osp_share_kind kind);

#endif
