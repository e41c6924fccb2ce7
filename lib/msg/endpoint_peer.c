/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is kept per upstream peer: Message IDs that may be used, and how many CON requests are under way.
 *
 * A Message ID must not come again towards a peer within EXCHANGE_LIFETIME [rfc7252#4.4].  Each pair of (our
 * socket, peer) has 65,536; they are handed out in order, in blocks of 4096, and a block may begin again when
 * its last number was handed out longer ago than that.  A peer stays on one socket until that is used up, so that
 * traffic stays in one batch.
 *
 * Towards clients the answers' Message IDs come from counters hashed by peer: no state per client, and a
 * counter cannot wrap within the lifetime because a client's own requests, one for each answer, may not
 * reuse theirs either.  A client that is also an upstream gets both kinds from different sockets (listeners
 * and client sockets share no number), so the two never meet.
 */
#include <stdlib.h>

#include "msg/endpoint_impl.h"

#define BLOCK_SIZE 4096u
#define IN_USE UINT64_MAX

static uint64_t
hash_addr(const struct osp_ep *ep, const struct osp_addr *a)
{
    struct osp_hash128 h = osp_hash_begin(&ep->seed);

    osp_hash_piece(&h, osp_slice(&a->ip, sizeof(a->ip)));
    osp_hash_word(&h, (uint64_t)a->port << 32 | a->scope);
    return osp_hash_end64(&h);
}

static size_t
block_bytes(const struct osp_ep *ep)
{
    return (size_t)ep->cfg.client_socks * EP_MID_BLOCKS * sizeof(uint64_t);
}

static void
peer_free(struct osp_ep *ep, struct ep_peer *p)
{
    osp_table_remove(&ep->peers, &p->node);
    osp_list_remove(&p->lru);
    osp_pool_put(ep->pool, p->block_ended_us, block_bytes(ep));
    osp_pool_put(ep->pool, p, sizeof(*p));
}

/*
 * Makes room by forgetting the idle peer that was used longest ago.  The number it had come to stays behind in two
 * bytes hashed by peer: when it comes back within the lifetime it goes on from there, not among those just used.
 */
static bool
make_room(struct osp_ep *ep)
{
    struct osp_list *n;
    struct ep_peer  *p;

    if (ep->peers.count < ep->cfg.max_peers)
        return true;
    n = osp_list_first(&ep->peer_lru);
    if (!n)
        return false;
    p = OSP_CONTAINER(n, struct ep_peer, lru);
    ep->peer_mid[p->node.hash % EP_PEER_SLOTS] = p->next_mid;
    peer_free(ep, p);
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
    *p = (struct ep_peer){ .addr = *addr };
    p->block_ended_us = osp_pool_get(ep->pool, block_bytes(ep));
    if (!p->block_ended_us) {
        osp_pool_put(ep->pool, p, sizeof(*p));
        return NULL;
    }
    memset(p->block_ended_us, 0, block_bytes(ep));
    osp_list_init(&p->lru);
    osp_list_init(&p->queue);
    p->next_mid = ep->peer_mid[hash % EP_PEER_SLOTS];
    osp_table_add(&ep->peers, &p->node, hash);
    return p;
}

/* Takes a reference (p->requests); NULL when there is no room. */
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
    osp_list_remove(&p->lru);   /* only idle peers are in it */
    p->requests++;
    return p;
}

void
ep_peer_put(struct osp_ep *ep, struct ep_peer *p)
{
    if (--p->requests == 0)
        osp_list_push(&ep->peer_lru, &p->lru);
}

static uint64_t *
block_of(struct ep_peer *p, unsigned sock, unsigned block)
{
    return &p->block_ended_us[sock * EP_MID_BLOCKS + block];
}

static bool
block_is_free(const struct osp_ep *ep, struct ep_peer *p, unsigned sock, unsigned block, struct osp_time now)
{
    uint64_t ended = *block_of(p, sock, block);

    return ended == 0 || (ended != IN_USE && now.us > ended && now.us - ended > ep->cfg.exchange_lifetime_us);
}

/* Begins the block that next_mid is in, on this socket or on the next one where it is free. */
static bool
begin_block(struct osp_ep *ep, struct ep_peer *p, struct osp_time now)
{
    unsigned block = p->next_mid / BLOCK_SIZE;

    for (unsigned i = 0; i < ep->cfg.client_socks; i++) {
        unsigned sock = (p->sock + i) % ep->cfg.client_socks;

        if (!block_is_free(ep, p, sock, block, now))
            continue;
        if (p->started)
            *block_of(p, p->sock, (block + EP_MID_BLOCKS - 1) % EP_MID_BLOCKS) = now.us ? now.us : 1;
        *block_of(p, sock, block) = IN_USE;
        p->sock = (uint16_t)sock;
        p->started = true;
        return true;
    }
    return false;
}

bool
ep_peer_mid(struct osp_ep *ep, struct ep_peer *p, struct osp_time now, uint16_t *sock, uint16_t *mid)
{
    if ((!p->started || p->next_mid % BLOCK_SIZE == 0) && !begin_block(ep, p, now))
        return false;
    *sock = p->sock;
    *mid = p->next_mid++;
    return true;
}

uint16_t
ep_client_mid(struct osp_ep *ep, const struct osp_flow *to)
{
    return ep->client_mid[(hash_addr(ep, &to->peer) ^ to->sock) % EP_MID_SLOTS]++;
}
