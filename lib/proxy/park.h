/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exchanges that wait: for a name, for sequence numbers, for the answer to an equal request, for a context.
 *
 *   running --px_wait()--> parked --px_make_ready()--> in px.ready --px_unpark()--> running
 *                             \--- patience ran out: px_unpark() ------------------/
 *
 * Whoever parks an exchange has kept its request (px_save()).  What wakes it up makes it ready; the flow takes it up from there
 * (resume.c).  A parked exchange has a timer, since whoever should wake it up may be unable to.
 */
#ifndef OSP_PROXY_PARK_H
#define OSP_PROXY_PARK_H

#include "base/list.h"
#include "base/time.h"

struct osp_msg;
struct osp_octx;
struct osp_proxy;
struct px_exchange;
struct px_turn;

/* Why an exchange is parked. */
enum px_wait { PX_RUNNING, PX_WAIT_NAME, PX_WAIT_LEASE_OUT, PX_WAIT_LEASE_CHALLENGE, PX_WAIT_LEASE_NOTIFY,
               PX_WAIT_FLIGHT, PX_WAIT_EDHOC, PX_WAIT_REKEY };

/* Exchanges that wait for one thing. */
struct px_queue {
    struct osp_list waiters;    /* px_exchange.wait */
    size_t          count;
};

void px_queue_init(struct px_queue *q);

/* Parks `x` until `deadline` at most; nothing wakes it up but that, unless it is put in a queue. */
void px_wait(struct osp_proxy *px, struct px_exchange *x, enum px_wait why, struct osp_time deadline);

/* Parks `x` in `q`, until its own deadline at most. */
void px_wait_in(struct osp_proxy *px, struct px_exchange *x, enum px_wait why, struct px_queue *q);

/* Everybody in `q` is ready. */
void px_queue_release(struct osp_proxy *px, struct px_queue *q);

/* Parks `x` until `ctx`, which is borrowed, was granted sequence numbers, or was refused them. */
void px_wait_for_lease(struct px_turn *t, struct px_exchange *x, struct osp_octx *ctx, enum px_wait why);

/* `ctx` was granted sequence numbers, or refused them: who waited for that is ready. */
void px_lease_is_over(struct osp_proxy *px, const struct osp_octx *ctx);

/* `x`, which is parked, is taken up at the next opportunity. */
void px_make_ready(struct osp_proxy *px, struct px_exchange *x);

/* `x` is parked no more. */
void px_unpark(struct osp_proxy *px, struct px_exchange *x);

/* `x` ends: out of every queue, with its timer. */
void px_park_end(struct osp_proxy *px, struct px_exchange *x);

#endif
