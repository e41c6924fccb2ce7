/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loops of proxies.  Hop-Limit ends every one of them [rfc8768#3]; a request that comes back from our own next hop is
 * recognised at once.  It is one that comes from the address of the next hop, equals one that is on its way there, and has a
 * smaller Hop-Limit than that one: a client there that happens to ask the same has none, or a larger one.
 */
#include "proxy/access/access.h"
#include "proxy/exchange.h"
#include "proxy/steps.h"

#include <stdlib.h>

#define SLOTS 8192u             /* a power of two */
#define CAME_BACK 1u            /* bit 0 of an entry: it was seen again */
#define HOPS_AT 1               /* bits 1 to 8: the Hop-Limit it went out with, 0: none */
#define HOPS_BITS 0x1feu
#define NAME_BITS (~(uint64_t)0x1ff)    /* the others: a hash of the request; an entry of 0 is free */

struct osp_outbound {
    struct osp_hash_key seed;
    _Atomic uint64_t    slots[SLOTS];
};

enum osp_err
osp_outbound_new(struct osp_hash_key seed, struct osp_outbound **out)
{
    struct osp_outbound *o = calloc(1, sizeof(*o));

    if (!o)
        return OSP_E_NOMEM;
    o->seed = seed;
    *out = o;
    return OSP_OK;
}

void
osp_outbound_free(struct osp_outbound *o)
{
    free(o);
}

static _Atomic uint64_t *
slot_of(struct osp_outbound *o, uint64_t entry)
{
    return &o->slots[(entry >> 9) & (SLOTS - 1)];
}

static bool
is_here(const struct osp_ip *ip, const struct osp_ip *hop)
{
    return osp_ip_eq(ip, hop) || (osp_ip_is_loopback(ip) && osp_ip_is_loopback(hop));  /* all of loopback is one host */
}

static bool
is_from_next_hop(struct osp_proxy *px, const struct px_exchange *x, const struct osp_authority *to)
{
    const struct osp_ip   *ip = &x->from.peer.ip;
    const struct osp_host *row = to->is_ip ? NULL : px_host_of(x->policy, to->host);

    if (to->is_ip)
        return is_here(ip, &to->ip);
    return row ? is_here(ip, &row->ip) : px_name_has(px, to->host, ip);
}

static uint64_t
hop_limit_of(const struct osp_msg *req)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_HOP_LIMIT);
    uint32_t              v = 0;

    return o && osp_opt_uint(o->val, &v) && v < 256 ? v : 0;
}

/* The entry of a request as it goes out: what the cache tells requests apart by, and the payload.  0: it cannot be made. */
static uint64_t
entry_of(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to)
{
    const struct osp_hash_key *seed = &x->policy->outbound->seed;
    struct osp_wr              before = t->scratch;
    struct osp_cache_key       key;
    uint64_t                   h = 0;

    if (osp_cache_key_make(seed, to, OSP_OPT_REQUEST_HASH, req, &t->scratch, &key) == OSP_OK)
        h = (key.hash + osp_hash(seed, req->payload)) & NAME_BITS;
    t->scratch = before;
    return h ? h | hop_limit_of(req) << HOPS_AT : 0;
}

enum osp_err
px_loop_check(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to)
{
    _Atomic uint64_t *slot;
    uint64_t          mine, there, hops;

    if (x->route || !x->policy->has_next_hop || !x->policy->outbound)
        return OSP_OK;
    mine = entry_of(t, x, req, to);
    if (mine == 0)
        return OSP_OK;
    slot = slot_of(x->policy->outbound, mine);
    there = atomic_load_explicit(slot, memory_order_relaxed);
    hops = there & HOPS_BITS;
    if ((there & NAME_BITS) == (mine & NAME_BITS) && is_from_next_hop(t->px, x, to) &&
        (hops == 0 || ((mine & HOPS_BITS) != 0 && (mine & HOPS_BITS) < hops))) {
        (void)atomic_compare_exchange_strong_explicit(slot, &there, there | CAME_BACK, memory_order_relaxed,
                                                      memory_order_relaxed);
        t->px->came_back_from = x->from.peer;
        return OSP_E_CAME_BACK;
    }
    atomic_store_explicit(slot, mine, memory_order_relaxed);
    x->outbound = mine;
    px_part_attach(x, PX_PART_LOOP);
    return OSP_OK;
}

uint64_t
osp_proxy_came_back(const struct osp_proxy *px, struct osp_addr *from)
{
    *from = px->came_back_from;
    return px->stats.errors[OSP_E_CAME_BACK];
}

bool
px_loop_came_back(const struct px_exchange *x)
{
    return x->outbound &&
           atomic_load_explicit(slot_of(x->policy->outbound, x->outbound), memory_order_relaxed) == (x->outbound | CAME_BACK);
}

void
px_loop_ended(struct osp_proxy *px, struct px_exchange *x)
{
    _Atomic uint64_t *slot = slot_of(x->policy->outbound, x->outbound);
    uint64_t          there;

    (void)px;
    there = atomic_load_explicit(slot, memory_order_relaxed);
    if ((there & ~(uint64_t)CAME_BACK) == x->outbound)
        (void)atomic_compare_exchange_strong_explicit(slot, &there, 0, memory_order_relaxed, memory_order_relaxed);
}
