/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to worker.c, sockets.c, turn.c, asks.c and notes.c: one worker, and what its files do for each other. */
#ifndef OSP_DAEMON_OSPREYD_WORKER_IMPL_H
#define OSP_DAEMON_OSPREYD_WORKER_IMPL_H

#include <pthread.h>

#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/worker/shortage.h"
#include "daemon/ospreyd/worker/worker.h"

#define TX_ROOM 8               /* datagrams that one input may make */

struct port {                   /* a socket's place in the loop */
    struct osp_worker *worker;
    struct osp_watch  *watch;
    uint16_t           index;
};

struct osp_worker {
    struct osp_worker_cfg   cfg;
    struct osp_loop        *loop;
    struct osp_proxy       *proxy;
    struct osp_ep          *ep;         /* the transport of UDP, which belongs to the proxy */
    struct osp_udp_io      *io;
    struct osp_txq          tx;
    struct osp_udp_sock    *socks;      /* by index */
    struct port           **ports;      /* by index; each stays where it is while the arrays grow */
    size_t                  sock_count;
    struct osp_alarm       *alarm;
    struct osp_time         armed;      /* when the alarm rings, if `is_armed` */
    bool                    is_armed, draining, told, leaving, running;
    struct osp_mailbox      inbox;
    struct osp_watch       *inbox_watch;
    struct osp_leaser      *leaser;
    pthread_t               thread;
    uint64_t                asked;      /* main thread: number of the last note that is answered by `done` */
    struct osp_worker_stats now;        /* the thread's own counters that are not kept elsewhere */
    struct osp_worker_shortages shortages;
    struct osp_time         port_retry; /* an upstream port could not be opened: not again before */
    pthread_mutex_t         lock;       /* guards what follows */
    pthread_cond_t          progress;
    uint64_t                done;
    struct osp_worker_stats published;
};

/* ---- sockets.c ---- */

/* Closes socket `index`, if it is open, and takes it out of the loop. */
void worker_close_port(struct osp_worker *w, uint16_t index);
/* Opens the next upstream port.  OSP_E_NOMEM, or OSP_E_INVALID with errno: it is not open. */
OSP_CHECKED enum osp_err worker_open_upstream(struct osp_worker *w);
/* Opens one upstream port ahead of those in use; a failure is counted and logged, and tried again later. */
void worker_open_ahead(struct osp_worker *w, const struct osp_ep_stats *ep, struct osp_time now);

/* ---- turn.c ---- */

/* Sends what is queued. */
void worker_flush(struct osp_worker *w);
/* Sends what is queued unless one more input finds room behind it. */
void worker_make_room(struct osp_worker *w);
/* For the loop: reads a socket (`ctx`: its struct port); and the alarm (`ctx`: the worker). */
void worker_on_readable(void *ctx);
void worker_on_alarm(void *ctx);
/* What ends every turn: expiries, sending, the next alarm. */
void worker_end_turn(struct osp_worker *w);

/* ---- asks.c ---- */

/* Does what lib/proxy asks for since the last call. */
void worker_take_asks(struct osp_worker *w, struct osp_time now);

/* ---- notes.c ---- */

/* Makes the counters of this moment readable for the main thread; everything asked up to note `seq` is done. */
void worker_publish_stats(struct osp_worker *w, uint64_t seq);
/* For the loop (`ctx`: the worker): notes have come. */
void worker_on_notes(void *ctx);

#endif
