/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network of message-layer endpoints in virtual time that loses, repeats, delays, reorders and spoils datagrams.
 *
 * Node i has the address 10.0.0.i; its sockets 0..upstream_socks-1 have the ports 50000 and up, the next one is its
 * listener on port 5683.  Everything is drawn from one seed, so a run can be repeated: `trace` is a hash over all that
 * was delivered.
 *
 * While `strict` is set, every datagram on its way is held against what RFC 7252 says of Message IDs, per pair of
 * endpoints: a CON or NON that comes again within 247 s is a copy, byte for byte, and so is the ACK or RST to it.
 */
#ifndef OSP_TESTS_NET_H
#define OSP_TESTS_NET_H

#include "msg/endpoint.h"

#define NET_NODES 8
#define NET_DATAGRAM 512
#define NET_PORT 5683

struct net;
struct net_item;
struct net_seen;

struct net_node {
    struct osp_ep    *ep;
    struct osp_transports transports;   /* `ep`, as those see it who stand for a peer */
    struct osp_pool   pool;
    struct osp_ep_cfg cfg;
    bool              cut;      /* nothing reaches it and nothing leaves it */
};

struct net {
    /* what the test sets */
    unsigned loss, dup, spoiled;                /* per cent of the datagrams */
    uint64_t delay_min_us, delay_max_us;
    bool     strict;
    void   (*event)(struct net *n, unsigned node, const struct osp_event *ev);
    void   (*timer)(struct net *n, unsigned node, uint64_t arg);
    void    *user;
    /* what it reads */
    struct osp_time now;
    struct osp_txq  tx;         /* for calls of the endpoint's; net_flush() afterwards, outside of `event` and `timer` */
    struct net_node nodes[NET_NODES];
    unsigned        node_count;
    uint64_t        carried, lost, trace;
    /* private */
    uint64_t         rng, order;
    struct net_item *heap;
    size_t           heap_count, heap_cap;
    struct net_seen *seen;
};

void net_init(struct net *n, uint64_t seed);

/* Frees all nodes; fails if a pool has not got everything back. */
void net_fini(struct net *n);

/* A node, by its number. */
unsigned net_add(struct net *n, const struct osp_ep_cfg *cfg);

/* The node loses all its state, as after a crash. */
void net_restart(struct net *n, unsigned node);

/* Address of the node's listener. */
struct osp_addr net_addr(unsigned node);

/* Sends what is in `tx` from `node`. */
void net_flush(struct net *n, unsigned node);

/* Calls `timer` for `node` in `us` from now. */
void net_at(struct net *n, uint64_t us, unsigned node, uint64_t arg);

/* Lets `us` pass; 0: until no datagram is under way and no timer is set anywhere. */
void net_run(struct net *n, uint64_t us);

/* True if every node is idle and nothing is under way. */
bool net_idle(const struct net *n);

uint64_t net_random(struct net *n);

#endif
