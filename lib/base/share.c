/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/share.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"

#define WAYS 8                  /* entries in one set, under one lock */
#define RATE_SETS_MIN 16u
#define COMMON_SETS 512u        /* sets for clients with large shares, of which a table has room for a few hundred at most */

/* When a client may make its next request, if it keeps to its rate, in nanoseconds (the generic cell rate algorithm). */
struct rate { uint64_t key, next_ns; };

struct common { uint64_t key; uint32_t n[OSP_SHARE_KINDS]; };

struct rate_set { struct rate way[WAYS]; };
struct common_set { struct osp_lock lock; struct common way[WAYS]; };

/* How many entries of a table one client, or one prefix, may have. */
struct part {
    uint32_t all;               /* over all workers */
    uint32_t here;              /* at one worker */
    uint32_t own;               /* at one worker, without asking for a common one */
    uint32_t common;            /* entries common to all workers: all - workers * own */
};

struct bound {
    size_t      all;            /* entries of the table */
    size_t      here;           /* entries of one worker's table */
    size_t      reserve;        /* entries that unknown clients leave free */
    struct part part[2];        /* [0]: of a client, [1]: of a prefix */
};

struct osp_shares {
    struct osp_hash_key   key;
    struct bound          bound[OSP_SHARE_KINDS];
    struct rate_set      *rates;
    struct osp_lock      *rate_locks;
    size_t                rate_mask;
    struct common_set    *common;
    atomic_uint_least64_t refused[OSP_SHARE_KINDS][2][OSP_SHARE_WHYS];
};

/* ---- set-up ---- */

static uint32_t
at_least_one(size_t n)
{
    return n < 1 ? 1 : n > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)n;
}

/* `here` is twice the worker's part, since all datagrams of a client may arrive at one worker. */
static struct part
part_of(size_t bound, size_t here, unsigned workers, unsigned percent)
{
    struct part p = { .all = at_least_one(bound * percent / 100) };
    uint32_t    twice = at_least_one(here * 2 * percent / 100);

    p.here = workers > 1 && twice < p.all ? twice : p.all;
    p.own = workers > 1 ? p.all / (4 * workers) : p.all;
    p.common = p.all - workers * p.own;
    return p;
}

static struct bound
bound_of(const struct osp_shares_cfg *cfg, size_t bound)
{
    struct bound b = { .all = bound, .here = (bound + cfg->workers - 1) / cfg->workers };

    b.reserve = b.here * cfg->reserve / 100;
    b.part[0] = part_of(bound, b.here, cfg->workers, cfg->client);
    b.part[1] = part_of(bound, b.here, cfg->workers, cfg->prefix);
    return b;
}

enum osp_err
osp_shares_new(const struct osp_shares_cfg *cfg, struct osp_hash_key key, struct osp_shares **out)
{
    struct osp_shares *s = calloc(1, sizeof(*s));
    size_t             sets = RATE_SETS_MIN;

    if (!s)
        return OSP_E_NOMEM;
    while (sets < cfg->rates / WAYS)
        sets *= 2;
    s->key = key;
    s->rate_mask = sets - 1;
    s->rates = calloc(sets, sizeof(*s->rates));
    s->rate_locks = calloc(sets, sizeof(*s->rate_locks));
    s->common = calloc(COMMON_SETS, sizeof(*s->common));
    if (!s->rates || !s->rate_locks || !s->common) {
        osp_shares_free(s);
        return OSP_E_NOMEM;
    }
    for (int k = 0; k < OSP_SHARE_KINDS; k++)
        s->bound[k] = bound_of(cfg, cfg->bound[k]);
    *out = s;
    return OSP_OK;
}

void
osp_shares_free(struct osp_shares *s)
{
    if (!s)
        return;
    free(s->rates);
    free(s->rate_locks);
    free(s->common);
    free(s);
}

const struct osp_hash_key *
osp_shares_key(const struct osp_shares *s)
{
    return &s->key;
}

size_t
osp_shares_bound(const struct osp_shares *s, enum osp_share_kind kind)
{
    return s->bound[kind].all;
}

uint64_t
osp_shares_refused(const struct osp_shares *s, enum osp_share_kind kind, bool known, enum osp_share_why why)
{
    return atomic_load_explicit(&s->refused[kind][known][why], memory_order_relaxed);
}

/* ---- rates ---- */

/* The client's entry, or the oldest entry, which is reused.  An entry whose time has passed restricts nobody any more. */
static struct rate *
rate_of(struct rate_set *set, uint64_t key)
{
    struct rate *oldest = &set->way[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set->way[i].key == key)
            return &set->way[i];
        if (set->way[i].next_ns < oldest->next_ns)
            oldest = &set->way[i];
    }
    *oldest = (struct rate){ .key = key };
    return oldest;
}

bool
osp_shares_rate(struct osp_shares *s, uint64_t key, uint32_t rate, uint32_t burst, struct osp_time now)
{
    size_t       set = key & s->rate_mask;
    uint64_t     now_ns = now.us * 1000, each_ns = UINT64_C(1000000000) / rate, ahead_ns = (burst - UINT64_C(1)) * each_ns;
    struct rate *r;
    bool         may;

    osp_lock_take(&s->rate_locks[set]);
    r = rate_of(&s->rates[set], key);
    may = r->next_ns <= now_ns + ahead_ns;
    if (may)
        r->next_ns = (r->next_ns > now_ns ? r->next_ns : now_ns) + each_ns;
    osp_lock_release(&s->rate_locks[set]);
    return may;
}

/* ---- the common part of shares ---- */

static bool
is_unused(const struct common *c)
{
    for (int k = 0; k < OSP_SHARE_KINDS; k++)
        if (c->n[k])
            return false;
    return true;
}

/* The client's entry, or an unused entry, which becomes the client's.  NULL: all entries are in use. */
static struct common *
common_of(struct common_set *set, uint64_t key)
{
    struct common *unused = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (set->way[i].key == key)
            return &set->way[i];
        if (!unused && is_unused(&set->way[i]))
            unused = &set->way[i];
    }
    if (unused)
        unused->key = key;
    return unused;
}

static bool
take_common(struct osp_shares *s, uint64_t key, enum osp_share_kind kind, uint32_t most)
{
    struct common_set *set = &s->common[key % COMMON_SETS];
    struct common     *c;
    bool               may;

    osp_lock_take(&set->lock);
    c = common_of(set, key);
    may = c && c->n[kind] < most;
    if (may)
        c->n[kind]++;
    osp_lock_release(&set->lock);
    return may;
}

static void
give_common(struct osp_shares *s, uint64_t key, enum osp_share_kind kind)
{
    struct common_set *set = &s->common[key % COMMON_SETS];

    osp_lock_take(&set->lock);
    common_of(set, key)->n[kind]--;     /* the entry exists, since its count is not 0 */
    osp_lock_release(&set->lock);
}

/* ---- accounts ---- */

enum osp_err
osp_ledger_init(struct osp_ledger *l, struct osp_shares *shares, struct osp_pool *pool)
{
    size_t bound = shares->bound[OSP_SHARE_EXCHANGES].here + shares->bound[OSP_SHARE_BODIES].here;

    *l = (struct osp_ledger){ .shares = shares, .pool = pool };
    return osp_table_init(&l->accounts, bound);
}

void
osp_ledger_fini(struct osp_ledger *l)
{
    osp_table_fini(&l->accounts);
}

static struct osp_account *
account_of(struct osp_ledger *l, uint64_t key, bool known, bool is_prefix)
{
    struct osp_account *a;

    for (struct osp_node *n = osp_table_first(&l->accounts, key); n; n = osp_table_next(n)) {
        a = OSP_CONTAINER(n, struct osp_account, node);
        a->refs++;
        return a;
    }
    a = osp_pool_get(l->pool, sizeof(*a));
    if (!a)
        return NULL;
    *a = (struct osp_account){ .refs = 1, .known = known, .is_prefix = is_prefix };
    osp_table_add(&l->accounts, &a->node, key);
    return a;
}

struct osp_account *
osp_ledger_open(struct osp_ledger *l, uint64_t key, bool known, uint64_t prefix)
{
    struct osp_account *a = account_of(l, key, known, false);

    if (!a || known || a->prefix)
        return a;
    a->prefix = account_of(l, prefix, false, true);
    if (!a->prefix) {
        osp_ledger_close(l, a);
        return NULL;
    }
    return a;
}

void
osp_ledger_close(struct osp_ledger *l, struct osp_account *a)
{
    struct osp_account *prefix;

    while (a && --a->refs == 0) {       /* at most two rounds, since a prefix has no prefix */
        prefix = a->prefix;
        osp_table_remove(&l->accounts, &a->node);
        osp_pool_put(l->pool, a, sizeof(*a));
        a = prefix;
    }
}

/* ---- entries ---- */

size_t
osp_ledger_reserve(const struct osp_ledger *l, enum osp_share_kind kind)
{
    return l->shares->bound[kind].reserve;
}

void
osp_ledger_refuse(struct osp_ledger *l, bool known, enum osp_share_kind kind, enum osp_share_why why)
{
    atomic_fetch_add_explicit(&l->shares->refused[kind][known][why], 1, memory_order_relaxed);
}

static bool
take_part(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind)
{
    const struct part *p = &l->shares->bound[kind].part[a->is_prefix];

    if (a->held[kind] >= p->here)
        return false;
    if (a->held[kind] - a->common[kind] >= p->own) {
        if (!take_common(l->shares, a->node.hash, kind, p->common))
            return false;
        a->common[kind]++;
    }
    a->held[kind]++;
    return true;
}

static void
give_part(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind)
{
    a->held[kind]--;
    if (a->common[kind] > 0) {
        a->common[kind]--;
        give_common(l->shares, a->node.hash, kind);
    }
}

/* True if the worker's table has room for one more entry of such a client. */
static bool
has_room(struct osp_ledger *l, bool known, enum osp_share_kind kind)
{
    const struct bound *b = &l->shares->bound[kind];
    size_t              used = l->used[kind][0] + l->used[kind][1];

    if (used < b->here - (known ? 0 : b->reserve))
        return true;
    osp_ledger_refuse(l, known, kind, used < b->here ? OSP_SHARE_RESERVE : OSP_SHARE_FULL);
    return false;
}

/*
 * Takes an entry from the shares of client and prefix.  If `leaving` is this client, or has this prefix, its entry is passed on
 * instead.  `leaving` is NULL if no entry leaves.
 */
static bool
take_parts(struct osp_ledger *l, struct osp_account *a, const struct osp_account *leaving, enum osp_share_kind kind)
{
    bool passes_prefix = leaving && leaving->prefix == a->prefix;

    if (leaving != a && !take_part(l, a, kind)) {
        osp_ledger_refuse(l, a->known, kind, OSP_SHARE_CLIENT);
        return false;
    }
    if (!a->prefix || passes_prefix || take_part(l, a->prefix, kind))
        return true;
    give_part(l, a, kind);      /* `leaving` has another prefix, so it is another client */
    osp_ledger_refuse(l, a->known, kind, OSP_SHARE_PREFIX);
    return false;
}

bool
osp_ledger_take(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind)
{
    if (!has_room(l, a->known, kind) || !take_parts(l, a, NULL, kind))
        return false;
    l->used[kind][a->known]++;
    a->refs++;
    return true;
}

bool
osp_ledger_take_over(struct osp_ledger *l, struct osp_account *a, struct osp_account *leaving, enum osp_share_kind kind)
{
    if (leaving->known && !a->known) {  /* unknown clients would have one more entry than before */
        osp_ledger_refuse(l, false, kind, OSP_SHARE_RESERVE);
        return false;
    }
    if (!take_parts(l, a, leaving, kind))
        return false;
    if (leaving->prefix && leaving->prefix != a->prefix)
        give_part(l, leaving->prefix, kind);
    if (leaving != a)
        give_part(l, leaving, kind);
    l->used[kind][leaving->known]--;
    l->used[kind][a->known]++;
    a->refs++;
    osp_ledger_close(l, leaving);
    return true;
}

void
osp_ledger_give(struct osp_ledger *l, struct osp_account *a, enum osp_share_kind kind)
{
    l->used[kind][a->known]--;
    if (a->prefix)
        give_part(l, a->prefix, kind);
    give_part(l, a, kind);
    osp_ledger_close(l, a);
}
