/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One UDP socket and one endpoint (lib/msg) in a loop over poll(2), for the client and the demo
 * origin.  The daemon has a loop of its own.
 */
#ifndef OSP_DAEMON_OSPREY_NET_H
#define OSP_DAEMON_OSPREY_NET_H

#include <signal.h>

#include "msg/endpoint.h"

struct osprey_net {
    int               fd;
    int               family;
    struct osp_addr   local;        /* bound address */
    bool              connected;    /* to one peer: then the system reports ICMP errors of that peer */
    struct osp_ep    *ep;
    struct osp_pool   pool;
    struct osp_txq    tx;
    uint8_t          *rx;
    sigset_t          wait_mask;    /* signals that end a wait */
    volatile sig_atomic_t *stop;
    void            (*wire)(void *ctx, bool out, const struct osp_addr *peer, struct osp_slice datagram);  /* may be NULL */
    void             *wire_ctx;
};

struct osp_time osprey_now(void);

/* Fills with strong random bytes; ends the process if the system has none. */
struct osp_rand osprey_random(void);

/*
 * Opens a socket that is bound to `bind_to` and serves; or, if that is NULL, one that is connected to `peer`.
 * False: it cannot be opened, which was said on standard error.
 */
bool osprey_net_open(struct osprey_net *n, const struct osp_addr *bind_to, const struct osp_addr *peer);
void osprey_net_close(struct osprey_net *n);

/* From now on SIGINT and SIGTERM set *flag and end a wait. */
void osprey_net_stop_on_signals(struct osprey_net *n, volatile sig_atomic_t *flag);

/* Sends what is queued. */
void osprey_net_flush(struct osprey_net *n);

/*
 * Waits for the next event of the endpoint, which borrows from `n` until the next call.
 *   OSP_E_TIMEOUT       `until` has come
 *   OSP_E_UNREACHABLE   the peer's port or host does not answer (connected socket only)
 *   OSP_E_CANCELLED     a signal asks to stop
 */
OSP_CHECKED enum osp_err osprey_net_wait(struct osprey_net *n, struct osp_time until, struct osp_event *ev);

#endif
