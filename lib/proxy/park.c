/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/park.h"

#include "proxy/impl.h"

void
px_queue_init(struct px_queue *q)
{
    osp_list_init(&q->waiters);
    q->count = 0;
}

static void
leave_queue(struct px_exchange *x)
{
    osp_list_remove(&x->wait);
    if (x->queue)
        x->queue->count--;
    x->queue = NULL;
}

void
px_wait(struct osp_proxy *px, struct px_exchange *x, enum px_wait why, struct osp_time deadline)
{
    if (x->state == PX_RUNNING)
        px->stats.parked++;
    x->state = why;
    osp_timer_set(&px->patience, &x->patience, deadline);
}

void
px_wait_in(struct osp_proxy *px, struct px_exchange *x, enum px_wait why, struct px_queue *q)
{
    px_wait(px, x, why, x->deadline);
    osp_list_push(&q->waiters, &x->wait);
    x->queue = q;
    q->count++;
}

void
px_queue_release(struct osp_proxy *px, struct px_queue *q)
{
    for (struct osp_list *n = q->waiters.next; n != &q->waiters; n = n->next)
        OSP_CONTAINER(n, struct px_exchange, wait)->queue = NULL;
    osp_list_splice(&px->ready, &q->waiters);
    q->count = 0;
}

static struct osp_list *
lease_slot(struct osp_proxy *px, const struct osp_octx *ctx)
{
    return &px->lease_waiters[osp_hash(&px->seed, osp_slice(&ctx, sizeof(ctx))) % PX_LEASE_SLOTS];
}

void
px_wait_for_lease(struct px_turn *t, struct px_exchange *x, struct osp_octx *ctx, enum px_wait why)
{
    px_count_key_use(t->px, ctx);
    x->lease_ctx = ctx;
    px_wait(t->px, x, why,
            why == PX_WAIT_LEASE_OUT ? x->deadline : osp_time_after(t->now, x->policy->response_timeout_us));
    osp_list_remove(&x->wait);
    osp_list_push(lease_slot(t->px, ctx), &x->wait);
}

void
px_lease_is_over(struct osp_proxy *px, const struct osp_octx *ctx)
{
    struct osp_list *slot = lease_slot(px, ctx), *n = slot->next;

    while (n != slot) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, wait);

        n = n->next;
        if (x->lease_ctx == ctx)
            px_make_ready(px, x);
    }
}

void
px_make_ready(struct osp_proxy *px, struct px_exchange *x)
{
    leave_queue(x);
    osp_list_push(&px->ready, &x->wait);
}

void
px_unpark(struct osp_proxy *px, struct px_exchange *x)
{
    leave_queue(x);
    osp_timer_stop(&px->patience, &x->patience);
    x->state = PX_RUNNING;
    px->stats.parked--;
}

void
px_park_end(struct osp_proxy *px, struct px_exchange *x)
{
    if (x->state != PX_RUNNING)
        px->stats.parked--;
    leave_queue(x);
    osp_timer_stop(&px->patience, &x->patience);
}
