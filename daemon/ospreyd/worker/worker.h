/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread with its own sockets, message layer, exchanges and timers.
 *
 * Every worker has one numbering of sockets: 0 .. upstream_ports-1 are for our own requests, the listeners follow.  A number
 * keeps its address for the life of the process, so an answer always leaves from the address that its request came in at.
 * The main thread makes and changes workers; between start and join it does so by notes only.
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
    unsigned             upstream_ports;        /* ports for our own requests, at most: sockets 0..upstream_ports-1 */
    size_t               receive_buffer;        /* bytes, for each socket; 0: the default of the system */
    struct osp_kept     *kept;                  /* takes the contexts that EDHOC makes; borrowed */
    struct osp_mailbox  *main;                  /* of the main thread, which looks names up; borrowed */
};

struct osp_worker_stats {
    struct osp_proxy_stats proxy;
    struct osp_ep_stats    ep;
    struct osp_udp_stats   udp;
    uint64_t               dropped_foreign;     /* requests to a socket that is no listener */
    uint64_t               refused_draining;    /* requests while stopping */
    uint64_t               dropped_tx;          /* datagrams for which the send queue of a turn was too short */
    uint64_t               turns;
    size_t                 upstream_ports;      /* ports for our own requests that are open now */
    uint64_t               ports_failed;        /* failed attempts to open one more */
};

struct osp_worker;

/*
 * Opens the first sockets for requests of ours; cfg->ep.upstream_socks does not matter.
 *   OSP_E_NOMEM, OSP_E_CRYPTO, OSP_E_INVALID (no socket: errno).
 */
OSP_CHECKED enum osp_err osp_worker_new(const struct osp_worker_cfg *cfg, struct osp_worker **out);

struct osp_mailbox *osp_worker_mailbox(struct osp_worker *w);

/* Gives a change, which it takes, to a worker that does not run yet.  OSP_E_NOMEM: a socket could not be added. */
OSP_CHECKED enum osp_err osp_worker_apply(struct osp_worker *w, struct osp_change *c);

/* Starts the thread: from now on datagrams are read.  OSP_E_NOMEM: no thread. */
OSP_CHECKED enum osp_err osp_worker_start(struct osp_worker *w, struct osp_leaser *leaser);

/* Gives a change, which it takes, to a running worker; osp_worker_is_current() tells when it is in force.
   False: out of memory, the change was freed. */
bool osp_worker_change(struct osp_worker *w, struct osp_change *c);

/* Asks a running worker for fresh counters; osp_worker_is_current() tells when they are there.  While it has not done what it was
   asked for before, nothing is posted.  False: out of memory. */
bool osp_worker_publish(struct osp_worker *w);

/* Waits until the worker has done everything that it was asked for so far; false: not within `ms` milliseconds. */
bool osp_worker_is_current(struct osp_worker *w, unsigned ms);

/* The counters it published last. */
void osp_worker_stats(struct osp_worker *w, struct osp_worker_stats *out);

/* Tells observers, answers new requests with 5.03, and posts a note OSP_NOTE_DRAINED when nothing is in flight any more. */
void osp_worker_drain(struct osp_worker *w);

/* Ends exchanges in flight with 5.03, stops the thread and waits for it.  Its counters stay readable.  NULL is fine. */
void osp_worker_join(struct osp_worker *w);

void osp_worker_free(struct osp_worker *w);

#endif
