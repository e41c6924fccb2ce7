/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of each upstream peer: the Message IDs that may be used towards it.
 *
 * A Message ID must not be used again towards a peer within EXCHANGE_LIFETIME [rfc7252#4.4].  Each pair of our socket and the
 * peer has 65,536 numbers.  They are used in order, in blocks of 4096, and a block may begin again when its last number was used
 * longer than EXCHANGE_LIFETIME ago.  A peer stays on one socket until its numbers are used up, so that its traffic goes out in
 * one batch; then it goes on at the first socket whose next block is free.  So no more sockets are used than the rate of requests
 * needs, and the owner opens more as the rate grows (osp_ep_set_socks()).
 *
 * Towards clients, the Message IDs of our responses come from counters hashed by client, so a client needs no state.  A counter
 * cannot wrap within the lifetime, because the client's requests, one per response, may not reuse their Message IDs either.  A
 * client may also be an upstream peer; then its responses and our requests use different sockets (listeners and upstream sockets
 * are never shared), so their Message IDs never meet.
 */
#include <stdlib.h>

#include "msg/endpoint_impl.h"

#define BLOCK_SIZE 4096u
#define IN_USE UINT32_MAX
#define LOOK_AGAIN_US OSP_MS(10)        /* pause after no socket had a number free, which makes refusals cheap */
#define KEPT_BUSY 16                    /* peers that make_room() passes by at most */

static uint64_t
hash_addr(const struct osp_ep *ep, const struct osp_addr *a)
{
    struct osp_hash128 h = osp_hash_begin(&ep->seed);

    osp_hash_piece(&h, osp_slice(&a->ip, sizeof(a->ip)));
    osp_hash_word(&h, (uint64_t)a->port << 32 | a->scope);
    return osp_hash_end64(&h);
}

void
ep_peer_free(struct osp_ep *ep, struct ep_peer *p)
{
    osp_table_remove(&ep->peers, &p->node);
    osp_list_remove(&p->lru);
    if (p->lanes != &p->lane)
        osp_pool_put(ep->pool, p->lanes, p->lane_count * sizeof(*p->lanes));
    osp_pool_put(ep->pool, p, sizeof(*p));
}

/*
 * The idle peer that was used longest ago.  A peer that used up a socket lately is skipped, because the two bytes that
 * make_room() keeps of a peer do not say which sockets have free numbers.
 */
static struct ep_peer *
dispensable(const struct osp_ep *ep)
{
    struct osp_list *first = osp_list_first(&ep->peer_lru), *n = first;

    for (int i = 0; n && n != &ep->peer_lru && i < KEPT_BUSY; i++, n = n->next) {
        struct ep_peer *p = OSP_CONTAINER(n, struct ep_peer, lru);

        if (p->lane_count == 1 || ep->now.us - p->idle_us > ep->cfg.exchange_lifetime_us)
            return p;
    }
    return first ? OSP_CONTAINER(first, struct ep_peer, lru) : NULL;
}

/*
 * Makes room by forgetting an idle peer.  Only its next Message ID is kept, in two bytes hashed by peer: if the peer comes back
 * within the lifetime, it goes on from that number and does not repeat recent ones.
 */
static bool
make_room(struct osp_ep *ep)
{
    struct ep_peer *p;

    if (ep->peers.count < ep->cfg.max_peers)
        return true;
    p = dispensable(ep);
    if (!p)
        return false;
    ep->peer_mid[p->node.hash % EP_PEER_SLOTS] = p->next_mid;
    ep_peer_free(ep, p);
    return true;
}

/* Makes room for the lanes of at least `count` sockets. */
static bool
grow(struct osp_ep *ep, struct ep_peer *p, unsigned count)
{
    unsigned        n = 2 * p->lane_count;
    struct ep_lane *lanes;

    while (n < count)
        n *= 2;
    lanes = osp_pool_get(ep->pool, n * sizeof(*lanes));
    if (!lanes)
        return false;
    memset(lanes, 0, n * sizeof(*lanes));
    memcpy(lanes, p->lanes, p->lane_count * sizeof(*lanes));
    if (p->lanes != &p->lane)
        osp_pool_put(ep->pool, p->lanes, p->lane_count * sizeof(*lanes));
    p->lanes = lanes;
    p->lane_count = n;
    return true;
}

static struct ep_peer *
peer_new(struct osp_ep *ep, const struct osp_addr *addr, uint64_t hash)
{
    struct ep_peer *p;

    if (!make_room(ep))
        return NULL;
    p = osp_pool_get(ep->pool, sizeof(*p));
    if (!p)
        return NULL;
    *p = (struct ep_peer){ .addr = *addr, .lanes = &p->lane, .lane_count = 1 };
    osp_list_init(&p->lru);
    osp_list_init(&p->first);
    osp_list_init(&p->others);
    p->next_mid = ep->peer_mid[hash % EP_PEER_SLOTS];
    osp_table_add(&ep->peers, &p->node, hash);
    return p;
}

/* The peer with this address, with a reference (p->requests).  NULL: there is no room for a new peer. */
struct ep_peer *
ep_peer_get(struct osp_ep *ep, const struct osp_addr *addr)
{
    uint64_t        h = hash_addr(ep, addr);
    struct ep_peer *p = NULL;

    for (struct osp_node *n = osp_table_first(&ep->peers, h); n && !p; n = osp_table_next(n))
        if (osp_addr_eq(&OSP_CONTAINER(n, struct ep_peer, node)->addr, addr))
            p = OSP_CONTAINER(n, struct ep_peer, node);
    if (!p)
        p = peer_new(ep, addr, h);
    if (!p)
        return NULL;
    osp_list_remove(&p->lru);   /* only idle peers are in the list */
    p->requests++;
    return p;
}

void
ep_peer_put(struct osp_ep *ep, struct ep_peer *p)
{
    if (--p->requests > 0)
        return;
    p->idle_us = ep->now.us;
    osp_list_push(&ep->peer_lru, &p->lru);
}

static bool
block_is_free(const struct osp_ep *ep, const struct ep_peer *p, unsigned sock, unsigned block, struct osp_time now)
{
    uint32_t ended = sock < p->lane_count ? p->lanes[sock].ended[block] : 0;

    /* one more unit, since both times were rounded down */
    return ended == 0 || (ended != IN_USE && ep_units(now.us) - ended > ep_units(ep->cfg.exchange_lifetime_us) + 1);
}

/* Notes that the block's last number is used now. */
static void
end_block(struct ep_peer *p, unsigned sock, unsigned block, struct osp_time now)
{
    uint32_t at = ep_units(now.us);

    p->lanes[sock].ended[block] = at == 0 || at == IN_USE ? 1 : at;
}

static bool
begin_at(struct osp_ep *ep, struct ep_peer *p, unsigned sock, unsigned block, struct osp_time now)
{
    if (sock >= p->lane_count && !grow(ep, p, sock + 1))
        return false;
    if (p->started)
        end_block(p, p->sock, (block + EP_MID_BLOCKS - 1) % EP_MID_BLOCKS, now);
    p->lanes[sock].ended[block] = IN_USE;
    p->sock = (uint16_t)sock;
    p->started = true;
    if (sock >= ep->stats.socks_used)
        ep->stats.socks_used = sock + 1;
    return true;
}

/* Begins the block that next_mid is in, on this socket or on the first one where it is free. */
static bool
begin_block(struct osp_ep *ep, struct ep_peer *p, struct osp_time now)
{
    unsigned block = p->next_mid / BLOCK_SIZE;

    if (p->dry_socks == ep->socks && now.us - p->dry_us < LOOK_AGAIN_US)
        return false;
    if (p->sock < ep->socks && block_is_free(ep, p, p->sock, block, now))
        return begin_at(ep, p, p->sock, block, now);
    for (unsigned sock = 0; sock < ep->socks; sock++)
        if (block_is_free(ep, p, sock, block, now))
            return begin_at(ep, p, sock, block, now);
    p->dry_socks = ep->socks;
    p->dry_us = now.us;
    return false;
}

bool
ep_peer_mid(struct osp_ep *ep, struct ep_peer *p, struct osp_time now, uint16_t *sock, uint16_t *mid)
{
    if ((!p->started || p->next_mid % BLOCK_SIZE == 0) && !begin_block(ep, p, now)) {
        ep->stats.mids_exhausted++;
        return false;
    }
    *sock = p->sock;
    *mid = p->next_mid++;
    return true;
}

void
osp_ep_set_socks(struct osp_ep *ep, uint16_t count)
{
    ep->socks = count;
}

uint16_t
ep_client_mid(struct osp_ep *ep, const struct osp_flow *to)
{
    return ep->client_mid[(hash_addr(ep, &to->peer) ^ to->sock) % EP_MID_SLOTS]++;
}
