/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/worker/impl.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"

#define TX_ITEMS 256
#define TX_BYTES (256u * 1024)
#define RECEIVE_MIN 2048        /* longer than we would send: such a request gets its 4.13 */
#define PORTS_AT_START 2        /* upstream ports: one to use and one ahead of it */

/* ---- the thread ---- */

static void *
run(void *arg)
{
    struct osp_worker *w = arg;

    while (!w->leaving) {
        osp_loop_turn(w->loop);
        worker_end_turn(w);
    }
    worker_publish_stats(w, UINT64_MAX);
    return NULL;
}

/* ---- for the main thread ---- */

static void
fill_random(void *ctx, uint8_t *dst, size_t n)
{
    (void)ctx;
    if (osp_crypto_random(dst, n) == OSP_OK)
        return;
    log_error("no-randomness", "effect=%s", "stopping, since keys and tokens would be predictable");
    abort();
}

/* The proxy, and the transport of UDP below it. */
static enum osp_err
make_proxy(struct osp_worker *w)
{
    struct osp_rand   rand = { .fill = fill_random };
    struct osp_ep_cfg ep = w->cfg.ep;
    enum osp_err      e = osp_proxy_new(&w->cfg.proxy, rand, osp_loop_now(), &w->proxy);

    if (e != OSP_OK)
        return e;
    ep.ledger = osp_proxy_ledger(w->proxy);
    e = osp_ep_new(&ep, rand, osp_proxy_pool(w->proxy), osp_loop_now(), &w->ep);
    return e == OSP_OK ? osp_proxy_add_transport(w->proxy, OSP_TRANSPORT_UDP, osp_ep_transport(w->ep, &w->tx)) : e;
}

static enum osp_err
make(struct osp_worker *w)
{
    size_t       max = w->cfg.ep.max_datagram;
    size_t       bytes = TX_BYTES > 2 * TX_ROOM * max ? TX_BYTES : 2 * TX_ROOM * max;
    enum osp_err e = osp_loop_new(&w->loop);

    if (e == OSP_OK)
        e = osp_udp_io_new(max > RECEIVE_MIN ? max : RECEIVE_MIN, &w->io);
    if (e == OSP_OK)
        e = osp_txq_init(&w->tx, TX_ITEMS, bytes);
    if (e == OSP_OK)
        e = make_proxy(w);
    if (e == OSP_OK)
        e = osp_alarm_new(w->loop, worker_on_alarm, w, &w->alarm);
    if (e == OSP_OK)
        e = osp_watch_new(w->loop, w->inbox.fd, worker_on_notes, w, &w->inbox_watch);
    while (e == OSP_OK && w->now.upstream_ports < w->cfg.ep.upstream_socks)
        e = worker_open_upstream(w);
    return e;
}

enum osp_err
osp_worker_new(const struct osp_worker_cfg *cfg, struct osp_worker **out)
{
    struct osp_worker *w = calloc(1, sizeof(*w));
    enum osp_err       e;
    int                saved;

    if (!w || osp_mailbox_init(&w->inbox) != OSP_OK) {
        free(w);
        return OSP_E_NOMEM;
    }
    w->cfg = *cfg;
    w->cfg.ep.upstream_socks = (uint16_t)(cfg->upstream_ports < PORTS_AT_START ? cfg->upstream_ports : PORTS_AT_START);
    (void)pthread_mutex_init(&w->lock, NULL);
    osp_cond_init(&w->progress);
    e = make(w);
    if (e != OSP_OK) {
        saved = errno;
        osp_worker_free(w);
        errno = saved;
        return e;
    }
    *out = w;
    return OSP_OK;
}

void
osp_worker_free(struct osp_worker *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->sock_count; i++)
        worker_close_port(w, (uint16_t)i);
    osp_watch_free(w->inbox_watch);
    osp_alarm_free(w->alarm);
    osp_mailbox_fini(&w->inbox);
    osp_proxy_free(w->proxy);
    osp_udp_io_free(w->io);
    osp_txq_fini(&w->tx);
    osp_loop_free(w->loop);
    (void)pthread_cond_destroy(&w->progress);
    (void)pthread_mutex_destroy(&w->lock);
    free(w->socks);
    free(w->ports);
    free(w);
}

struct osp_mailbox *
osp_worker_mailbox(struct osp_worker *w)
{
    return &w->inbox;
}

enum osp_err
osp_worker_start(struct osp_worker *w, struct osp_leaser *leaser)
{
    w->leaser = leaser;
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        return OSP_E_NOMEM;
    w->running = true;
    return OSP_OK;
}

static bool
post(struct osp_worker *w, enum osp_note_kind kind, struct osp_change *c)
{
    struct osp_note *n = osp_note_new(kind);

    if (!n) {
        osp_change_free(c);
        return false;
    }
    n->seq = ++w->asked;
    n->change = c;
    osp_mailbox_post(&w->inbox, n);
    return true;
}

bool
osp_worker_change(struct osp_worker *w, struct osp_change *c)
{
    return post(w, OSP_NOTE_CHANGE, c);
}

static bool
is_busy(struct osp_worker *w)
{
    bool busy;

    (void)pthread_mutex_lock(&w->lock);
    busy = w->done < w->asked;
    (void)pthread_mutex_unlock(&w->lock);
    return busy;
}

bool
osp_worker_publish(struct osp_worker *w)
{
    return is_busy(w) || post(w, OSP_NOTE_PUBLISH, NULL); /* a stuck worker's inbox does not grow */
}

bool
osp_worker_is_current(struct osp_worker *w, unsigned ms)
{
    struct timespec until;
    bool            done;
    int             rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&w->lock);
    while (w->done < w->asked && rc == 0)
        rc = pthread_cond_timedwait(&w->progress, &w->lock, &until);
    done = w->done >= w->asked;
    (void)pthread_mutex_unlock(&w->lock);
    return done;
}

void
osp_worker_stats(struct osp_worker *w, struct osp_worker_stats *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->published;
    (void)pthread_mutex_unlock(&w->lock);
}

void
osp_worker_drain(struct osp_worker *w)
{
    (void)post(w, OSP_NOTE_DRAIN, NULL);
}

void
osp_worker_join(struct osp_worker *w)
{
    if (!w || !w->running)
        return;
    while (!post(w, OSP_NOTE_END, NULL))
        (void)usleep(1000); /* out of memory: try again, since the thread has to be told */
    (void)pthread_join(w->thread, NULL);
    w->running = false;
}
