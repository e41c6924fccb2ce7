/* SPDX-License-Identifier: BSD-2-Clause */
/* Notes that a worker gets: answers to what it asked, changes, and the end. */
#include "daemon/ospreyd/worker/impl.h"

#include "daemon/ospreyd/log.h"

#define ANSWER_BYTES 1024       /* room for one 5.03 under all its layers */

static void
collect(struct osp_worker *w)
{
    struct osp_worker_stats *s = &w->now;

    osp_proxy_stats(w->proxy, &s->proxy);
    s->ep = *osp_ep_stats(w->ep);
    s->udp = *osp_udp_io_stats(w->io);
}

void
worker_publish_stats(struct osp_worker *w, uint64_t seq)
{
    collect(w);
    (void)pthread_mutex_lock(&w->lock);
    w->published = w->now;
    if (seq > w->done)
        w->done = seq;
    (void)pthread_cond_broadcast(&w->progress);
    (void)pthread_mutex_unlock(&w->lock);
}

/* Ends `count` exchanges by `fn`.  Their answers may be more than the send queue of a turn holds, so they get a queue
   of their own. */
static void
answer_many(struct osp_worker *w, size_t count, struct osp_time now,
            void (*fn)(struct osp_proxy *px, struct osp_time now))
{
    struct osp_txq q;
    bool           has_own;

    worker_flush(w);
    has_own = osp_txq_init(&q, count + TX_ROOM, (count + TX_ROOM) * ANSWER_BYTES) == OSP_OK;
    (void)osp_ep_transport(w->ep, has_own ? &q : &w->tx);
    fn(w->proxy, now);
    (void)osp_ep_transport(w->ep, &w->tx);
    if (has_own) {
        osp_udp_flush(w->io, w->socks, w->sock_count, &q);
        osp_txq_fini(&q);
    }
}

static void
drain(struct osp_worker *w, struct osp_time now)
{
    struct osp_proxy_stats s;

    osp_proxy_stats(w->proxy, &s);
    w->draining = true;
    answer_many(w, s.observations, now, osp_proxy_drain);
}

static void
end(struct osp_worker *w, struct osp_time now)
{
    struct osp_proxy_stats s;

    osp_proxy_stats(w->proxy, &s);
    answer_many(w, s.exchanges, now, osp_proxy_abort_all);
    worker_flush(w);
    w->leaving = true;
}

static void
handle_note(struct osp_worker *w, struct osp_note *n, struct osp_time now)
{
    switch (n->kind) {
    case OSP_NOTE_RESOLVED:
        osp_proxy_resolved(w->proxy, n->host, n->err, n->ips, n->ip_count, n->ttl_us, now);
        break;
    case OSP_NOTE_LEASED:
        osp_proxy_leased(w->proxy, n->ctx, now);
        break;
    case OSP_NOTE_CHANGE:
        if (osp_worker_apply(w, n->change) != OSP_OK)
            log_error("listener-lost", "worker=%u reason=%s", w->cfg.index, osp_err_text(OSP_E_NOMEM));
        worker_publish_stats(w, n->seq);
        break;
    case OSP_NOTE_PUBLISH:
        worker_publish_stats(w, n->seq);
        break;
    case OSP_NOTE_DRAIN:
        drain(w, now);
        break;
    case OSP_NOTE_END:
        end(w, now);
        break;
    case OSP_NOTE_RESOLVE:
    case OSP_NOTE_DRAINED:
    case OSP_NOTE_WORN:
        break; /* these go to the main thread */
    }
}

void
worker_on_notes(void *ctx)
{
    struct osp_worker *w = ctx;
    struct osp_note   *n = osp_mailbox_take(&w->inbox), *next;
    struct osp_time    now = osp_loop_now();

    for (; n; n = next) {
        next = n->next;
        worker_make_room(w);
        handle_note(w, n, now);
        worker_take_asks(w, now);
        osp_note_free(n);
    }
}
