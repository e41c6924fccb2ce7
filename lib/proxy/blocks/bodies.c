/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is kept between the requests of a block-wise operation [rfc7959#2.4] [rfc7959#2.5]: a request body that comes
 * in blocks, a response that is given out in blocks, a body that passes by and is gathered for the cache, and the
 * tag of an upload that went through.
 *
 * An operation is named by who asks (client.h) and by what is asked with every option that counts for it [rfc9175#3.3]; both go
 * into 128 bits of keyed hash, so an entry is small and nobody can aim at another one's.
 *
 * Anybody can begin a transfer and never end it.  Entries are bounded in all, per owner and by shares.  At its own bound an
 * owner loses its oldest entry; at the common one the oldest entry of an unknown client goes, and only for a known
 * client's one the oldest of known clients.  Nothing goes for an entry that is beyond the share of its client or network.  What
 * is not touched for a while expires.
 *
 * A request's body that an unknown client sends is an exception: it does not go for another unknown client's while its
 * blocks keep coming.  Whoever is too late is refused.  So nobody ends a transfer by beginning others.
 */
#include "proxy/account.h"
#include "proxy/blocks/blocks.h"

#define FIRST_CAP 512
#define EXPIRE_PER_TURN 16
#define STANDS_STILL_US OSP_SEC(10)     /* a client that is there has repeated its block by then */

/* ---- names ---- */

static inline void
hash_string(struct osp_hash128 *h, uint64_t tag, struct osp_slice s)
{
    osp_hash_word(h, tag << 32 | s.n);
    osp_hash_piece(h, s);
}

/* Every request is hashed, since its response may have to be cut into blocks; hashing in place avoids building a key. */
struct px_op
px_op_of(const struct osp_proxy *px, const struct px_exchange *x, enum px_body_kind kind, const struct osp_msg *m)
{
    struct osp_hash128 h = osp_hash_begin(&px->seed);
    struct px_client   c = px_client_of(x);
    uint64_t           out[2];

    osp_hash_word(&h, (uint64_t)kind << 16 | (uint64_t)m->code << 8 | x->removed_count);
    px_client_hash(&h, &c);
    for (size_t i = 0; i < m->opt_count; i++)
        if (!osp_opt_varies(m->opts[i].num))
            hash_string(&h, m->opts[i].num, m->opts[i].val);
    osp_hash_end(&h, out);
    return (struct px_op){ out[0], out[1] };
}

struct px_op
px_op_of_key(const struct osp_proxy *px, struct osp_slice key)
{
    struct osp_hash128 h = osp_hash_begin(&px->seed);
    uint64_t           out[2];

    hash_string(&h, PX_BODY_GATHERED, key);
    osp_hash_end(&h, out);
    return (struct px_op){ out[0], out[1] };
}

uint64_t
px_client_tag(const struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req)
{
    struct osp_hash128 h = osp_hash_begin(&t->px->seed);
    struct px_client   c = px_client_of(x);

    osp_hash_word(&h, OSP_OPT_REQUEST_TAG);
    px_client_hash(&h, &c);
    for (size_t i = 0; i < req->opt_count; i++)
        if (req->opts[i].num == OSP_OPT_REQUEST_TAG)
            hash_string(&h, OSP_OPT_REQUEST_TAG, req->opts[i].val);
    return osp_hash_end64(&h);
}

/* ---- bytes that grow ---- */

void
px_buf_free(struct osp_proxy *px, struct px_buf *b)
{
    osp_pool_put(&px->pool, b->p, b->cap);
    *b = (struct px_buf){ 0 };
}

/* Room for `need` bytes in all, in steps that double. */
static bool
grow(struct osp_proxy *px, struct px_buf *b, size_t need)
{
    size_t   cap = b->cap ? b->cap : FIRST_CAP;
    uint8_t *p;

    while (cap < need)
        cap *= 2;
    if (cap > OSP_POOL_BLOCK_MAX)
        cap = need;
    if (cap == b->cap)
        return true;
    p = osp_pool_get(&px->pool, cap);
    if (!p)
        return false;
    (void)osp_slice_copy(osp_slice(b->p, b->n), p, cap);
    osp_pool_put(&px->pool, b->p, b->cap);
    b->p = p;
    b->cap = (uint32_t)cap;
    return true;
}

enum osp_err
px_buf_add(struct osp_proxy *px, struct px_buf *b, const struct osp_block *at, struct osp_slice payload, size_t limit)
{
    struct osp_wr w;
    enum osp_err  e;

    if (osp_block_offset(at) == b->n) {
        if (payload.n > limit || b->n > limit - payload.n)
            return OSP_E_TOO_LARGE;
        if (!grow(px, b, b->n + payload.n))
            return OSP_E_OVERLOAD;
    }
    w = osp_wr_to(b->p, b->cap);
    w.n = b->n;
    e = osp_body_add(&w, at, payload);
    if (e == OSP_OK)
        b->n = (uint32_t)w.n;
    return e;
}

/* ---- the table ---- */

enum osp_err
px_bodies_init(struct osp_proxy *px)
{
    enum osp_err e = osp_table_init(&px->bodies, px->cfg.max_bodies);

    for (int i = 0; i < PX_BODY_LISTS; i++)
        osp_list_init(&px->body_age[i]);
    if (e == OSP_OK)
        e = osp_table_init(&px->body_owners, px->cfg.max_bodies);
    return e;
}

void
px_body_free(struct osp_proxy *px, struct px_body *b)
{
    osp_table_remove(&px->bodies, &b->by_op);
    osp_table_remove(&px->body_owners, &b->by_owner);
    osp_list_remove(&b->age);
    px_buf_free(px, &b->data);
    osp_stored_release(&b->stored, &px->pool);
    if (b->account)
        osp_ledger_give(&px->ledger, b->account, OSP_SHARE_BODIES);
    osp_pool_put(&px->pool, b, sizeof(*b));
    px->stats.bodies--;
}

void
px_bodies_free(struct osp_proxy *px)
{
    struct osp_list *n;

    for (int i = 0; i < PX_BODY_LISTS; i++)
        while (px->body_age[i].next && (n = osp_list_first(&px->body_age[i])) != NULL)
            px_body_free(px, OSP_CONTAINER(n, struct px_body, age));
    osp_table_fini(&px->bodies);
    osp_table_fini(&px->body_owners);
}

struct px_body *
px_body_find(struct osp_proxy *px, const struct px_op *op, struct osp_time now)
{
    for (struct osp_node *n = osp_table_first(&px->bodies, op->a); n; n = osp_table_next(n)) {
        struct px_body *b = OSP_CONTAINER(n, struct px_body, by_op);

        if (b->op.b != op->b)
            continue;
        if (b->expires_us > now.us)
            return b;
        px->stats.bodies_expired++;
        px_body_free(px, b);
        return NULL;
    }
    return NULL;
}

void
px_body_touch(struct osp_proxy *px, struct px_body *b, uint64_t life_us, struct osp_time now)
{
    b->expires_us = now.us + life_us;
    b->touched_us = now.us;
    osp_list_remove(&b->age);
    osp_list_push(&px->body_age[b->list], &b->age);
}

/* Some of what is over; lists are in the order of the last touch, and lives differ little. */
bool
px_bodies_expire(struct osp_proxy *px, struct osp_time now)
{
    bool gone = false;

    for (int i = 0; i < EXPIRE_PER_TURN; i++) {
        struct osp_list *n = osp_list_first(&px->body_age[i % PX_BODY_LISTS]);
        struct px_body  *b = n ? OSP_CONTAINER(n, struct px_body, age) : NULL;

        if (!b || b->expires_us > now.us)
            continue;
        px->stats.bodies_expired++;
        px_body_free(px, b);
        gone = true;
    }
    return gone;
}

bool
px_bodies_deadline(const struct osp_proxy *px, bool has, struct osp_time *out)
{
    for (int i = 0; i < PX_BODY_LISTS; i++) {
        struct osp_list *n = osp_list_first(&px->body_age[i]);
        struct px_body  *b = n ? OSP_CONTAINER(n, struct px_body, age) : NULL;

        if (!b || (has && out->us <= b->expires_us))
            continue;
        out->us = b->expires_us;
        has = true;
    }
    return has;
}

static struct px_body *
first_of(const struct osp_proxy *px, enum px_body_list list)
{
    struct osp_list *n = osp_list_first(&px->body_age[list]);

    return n ? OSP_CONTAINER(n, struct px_body, age) : NULL;
}

/* Whether `b` may go for a new body of the kind that belongs in `list`. */
static bool
may_go(const struct px_body *b, enum px_body_list list, struct osp_time now)
{
    return b && (b->list != PX_BODY_FORMING || list == PX_BODY_KNOWN || now.us - b->touched_us >= STANDS_STILL_US);
}

/* Of the owner's entries the one that goes first; *count: how many it has. */
static struct px_body *
first_of_owner(const struct osp_proxy *px, uint64_t owner, enum px_body_list list, struct osp_time now, size_t *count)
{
    struct px_body *oldest = NULL;

    *count = 0;
    for (struct osp_node *n = osp_table_first(&px->body_owners, owner); n; n = osp_table_next(n)) {
        struct px_body *b = OSP_CONTAINER(n, struct px_body, by_owner);

        ++*count;
        if (may_go(b, list, now) && (!oldest || b->touched_us < oldest->touched_us))
            oldest = b;
    }
    return oldest;
}

/* Of all entries the one that goes first for a new one; NULL: none does. */
static struct px_body *
first_of_all(const struct osp_proxy *px, enum px_body_list list, struct osp_time now)
{
    struct px_body *b = first_of(px, PX_BODY_COMMON);

    if (!b && may_go(first_of(px, PX_BODY_FORMING), list, now))
        b = first_of(px, PX_BODY_FORMING);
    return b || list != PX_BODY_KNOWN ? b : first_of(px, PX_BODY_KNOWN);
}

/* The account with one more body, in the place of `b`, which goes; NULL: the client is beyond its share, and `b` stays. */
static struct osp_account *
replace(struct px_turn *t, const struct px_exchange *x, enum px_body_list list, struct px_body *b)
{
    struct osp_account *a = px_body_account(t, x, list == PX_BODY_KNOWN, b->account);

    if (!a)
        return NULL;
    b->account = NULL;
    t->px->stats.bodies_evicted++;
    px_body_free(t->px, b);
    return a;
}

/* The account with one more body; NULL: the client is beyond its share, or there is no room, and nothing went. */
static struct osp_account *
make_room(struct px_turn *t, const struct px_exchange *x, uint64_t owner, enum px_body_list list)
{
    struct osp_proxy   *px = t->px;
    size_t              count, reserve = list == PX_BODY_KNOWN ? 0 : osp_ledger_reserve(&px->ledger, OSP_SHARE_BODIES);
    bool                own_bound, common_bound = px->bodies.count + reserve >= px->cfg.max_bodies;
    struct px_body     *own = first_of_owner(px, owner, list, t->now, &count), *b = NULL;
    struct osp_account *a;

    own_bound = count >= px->cfg.max_bodies_per_peer;
    if (own_bound || common_bound) {
        b = own_bound ? own : first_of_all(px, list, t->now);
        if (!b) {
            osp_ledger_refuse(&px->ledger, list == PX_BODY_KNOWN, OSP_SHARE_BODIES,
                              own_bound ? OSP_SHARE_CLIENT : OSP_SHARE_FULL);
            return NULL;
        }
    }
    a = b ? replace(t, x, list, b) : px_body_account(t, x, list == PX_BODY_KNOWN, NULL);
    if (a || !own || own == b)
        return a;
    return replace(t, x, list, own);    /* beyond its share a client can only replace what it has */
}

struct px_body *
px_body_new(struct px_turn *t, const struct px_exchange *x, const struct px_op *op, enum px_body_kind kind)
{
    struct osp_proxy   *px = t->px;
    bool                known = px_is_known(px, x, t->now);
    enum px_body_list   list = known ? PX_BODY_KNOWN : kind == PX_BODY_REQUEST ? PX_BODY_FORMING : PX_BODY_COMMON;
    struct px_client    c = px_client_of(x);
    uint64_t            owner = px_client_share(px, &c, known);
    struct osp_account *a;
    struct px_body     *b;

    (void)px_bodies_expire(px, t->now);
    a = make_room(t, x, owner, list);
    if (!a)
        return NULL;
    b = osp_pool_get(&px->pool, sizeof(*b));
    if (!b) {
        osp_ledger_give(&px->ledger, a, OSP_SHARE_BODIES);
        return NULL;
    }
    *b = (struct px_body){ .op = *op, .list = (uint8_t)list, .account = a, .touched_us = t->now.us,
                           .expires_us = t->now.us + PX_BODY_LIFE_US };
    osp_table_add(&px->bodies, &b->by_op, op->a);
    osp_table_add(&px->body_owners, &b->by_owner, owner);
    osp_list_push(&px->body_age[list], &b->age);
    px->stats.bodies++;
    return b;
}
