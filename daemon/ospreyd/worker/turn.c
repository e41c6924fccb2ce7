/* SPDX-License-Identifier: BSD-2-Clause */
/* One turn of a worker's loop: datagrams in, what is due, datagrams out. */
#include "daemon/ospreyd/worker/impl.h"

#define BATCHES_PER_TURN 8      /* of one socket, so that no socket starves the others */
#define EXPIRES_PER_TURN 64

void
worker_flush(struct osp_worker *w)
{
    w->now.dropped_tx += w->tx.dropped;
    w->tx.dropped = 0;
    if (w->tx.count)
        osp_udp_flush(w->io, w->socks, w->sock_count, &w->tx);
}

void
worker_make_room(struct osp_worker *w)
{
    if (osp_txq_is_low(&w->tx, TX_ROOM, w->cfg.ep.max_datagram))
        worker_flush(w);
}

/* A name that cannot be asked for is one that does not resolve, for a second. */

static bool
is_request(struct osp_slice d)
{
    return d.n >= 4 && osp_code_is_request(d.p[1]);
}

static void
input(struct osp_worker *w, const struct osp_udp_sock *s, const struct osp_flow *flow, struct osp_slice d, struct osp_time now)
{
    struct osp_event ev;

    /* Requests are served where the operator listens, and nowhere else. */
    if (!s->listener && is_request(d)) {
        w->now.dropped_foreign++;
        return;
    }
    if (w->draining && is_request(d))
        w->now.refused_draining++;      /* by lib/proxy, with 5.03 */
    worker_make_room(w);
    osp_ep_input(w->ep, flow, d, now, &w->tx, &ev);
    osp_proxy_event(w->proxy, &ev, now);
    worker_take_asks(w, now);
}

void
worker_on_readable(void *ctx)
{
    struct port               *p = ctx;
    struct osp_worker         *w = p->worker;
    const struct osp_udp_sock *s = &w->socks[p->index];

    for (unsigned b = 0; b < BATCHES_PER_TURN; b++) {
        size_t          n = osp_udp_receive(w->io, s);
        struct osp_time now = osp_loop_now();

        for (size_t i = 0; i < n; i++) {
            struct osp_flow  flow;
            struct osp_slice d;

            if (osp_udp_datagram(w->io, s, i, p->index, &flow, &d))
                input(w, s, &flow, d, now);
        }
        if (n < OSP_UDP_BATCH)
            return;
    }
}

void
worker_on_alarm(void *ctx)
{
    struct osp_worker *w = ctx;

    w->is_armed = false; /* the end of the turn does the work */
}

/*
 * The alarm is moved only when the next deadline is earlier: under load deadlines move later all the
 * time, and an alarm that rings too early costs one turn.
 */
static void
arm(struct osp_worker *w, struct osp_time due, struct osp_time now)
{
    if (w->is_armed && w->armed.us <= due.us)
        return;
    w->is_armed = true;
    w->armed = due;
    osp_alarm_at(w->alarm, due, now);
}

/* One upstream port is open ahead of those in use, so that no request waits for it or is lost when there is none. */

void
worker_end_turn(struct osp_worker *w)
{
    const struct osp_ep_stats *ep;
    struct osp_addr            back_from;
    struct osp_time            now = osp_loop_now(), due;
    struct osp_note           *n;
    bool                       more = true;

    w->now.turns++;
    for (unsigned i = 0; more && i < EXPIRES_PER_TURN; i++) {
        more = osp_proxy_deadline(w->proxy, &due) && osp_time_due(due, now);
        if (more) {
            worker_make_room(w);
            (void)osp_proxy_expire(w->proxy, now);
            worker_take_asks(w, now);
        }
    }
    worker_flush(w);
    ep = osp_ep_stats(w->ep);
    worker_open_ahead(w, ep, now);
    osp_shortages_tell(&w->shortages, ep, w->cfg.ep.max_messages, w->cfg.index, w->now.upstream_ports, now);
    osp_loop_tell(&w->shortages, osp_proxy_came_back(w->proxy, &back_from), &back_from, w->cfg.index, now);
    if (more)
        arm(w, now, now);
    else if (osp_proxy_deadline(w->proxy, &due))
        arm(w, due, now);
    if (w->draining && !w->told && osp_proxy_idle(w->proxy)) {
        n = osp_note_new(OSP_NOTE_DRAINED);
        w->told = n != NULL;
        if (n) {
            n->worker = w->cfg.index;
            osp_mailbox_post(w->cfg.main, n);
        }
    }
}
