/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread with its own sockets, message layer, exchanges and timers.
 *
 * Sockets are numbered the same way in every worker: 0 .. upstream_ports-1 are for requests of ours,
 * the listeners follow; a number keeps its address for the life of the process, so an answer never
 * leaves from another address than its request came in at.
 * Made and changed by the main thread; between start and join everything goes through notes.
 */
#ifndef OSP_DAEMON_OSPREYD_WORKER_WORKER_H
#define OSP_DAEMON_OSPREYD_WORKER_WORKER_H

#include "daemon/ospreyd/worker/change.h"
#include "daemon/ospreyd/state/lease.h"
#include "daemon/ospreyd/worker/mailbox.h"
#include "daemon/ospreyd/net/udp.h"
#include "msg/endpoint.h"

struct osp_worker_cfg {
    unsigned             index;
    struct osp_proxy_cfg proxy;
    struct osp_ep_cfg    ep;                    /* of its message layer for UDP; `ledger` does not matter */
    unsigned             upstream_ports;        /* at most: places 0..upstream_ports-1 are theirs */
    size_t               receive_buffer;        /* bytes of each socket, 0: the system's default */
    struct osp_kept     *kept;                  /* what keeps the contexts made */
    struct osp_mailbox  *main;                  /* where names are asked for */
};

struct osp_worker_stats {
    struct osp_proxy_stats proxy;
    struct osp_ep_stats    ep;
    struct osp_udp_stats   udp;
    uint64_t               dropped_foreign;     /* requests to a socket that is no listener */
    uint64_t               refused_draining;    /* requests while stopping */
    uint64_t               dropped_tx;          /* the turn's send queue was full */
    uint64_t               turns;
    size_t                 upstream_ports;      /* open now; they are opened as they are needed */
    uint64_t               ports_failed;        /* attempts to open one that failed */
};

struct osp_worker;

/*
 * Opens the first sockets for requests of ours; cfg->ep.upstream_socks does not matter.
 *   OSP_E_NOMEM, OSP_E_CRYPTO, OSP_E_INVALID (no socket: errno).
 */
OSP_CHECKED enum osp_err osp_worker_new(const struct osp_worker_cfg *cfg, struct osp_worker **out);

struct osp_mailbox *osp_worker_mailbox(struct osp_worker *w);

/* Gives a change to a worker that does not run yet. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_worker_apply(struct osp_worker *w, struct osp_change *c);

/* From here datagrams are read. OSP_E_NOMEM: no thread. */
OSP_CHECKED enum osp_err osp_worker_start(struct osp_worker *w, struct osp_leaser *leaser);

/* Gives a change to a running worker; osp_worker_is_current() tells when it is in force. False: no memory,
   the change is freed. */
bool osp_worker_change(struct osp_worker *w, struct osp_change *c);

/* Asks for fresh counters; as above.  No second note is posted while one is unanswered. */
bool osp_worker_publish(struct osp_worker *w);

/* Waits until everything asked of it so far is done; false after `ms`. */
bool osp_worker_is_current(struct osp_worker *w, unsigned ms);

/* The counters it published last. */
void osp_worker_stats(struct osp_worker *w, struct osp_worker_stats *out);

/* Observers are told, new requests get 5.03; a DRAINED note comes when nothing is in flight any more. */
void osp_worker_drain(struct osp_worker *w);

/* Ends what is in flight with 5.03, stops the thread and waits for it. Its counters stay readable. */
void osp_worker_join(struct osp_worker *w);

void osp_worker_free(struct osp_worker *w);

#endif
