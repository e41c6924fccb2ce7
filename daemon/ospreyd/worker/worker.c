/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/worker/shortage.h"

#define BATCHES_PER_TURN 8      /* of one socket, so that no socket starves the others */
#define TX_ITEMS 256
#define TX_BYTES (256u * 1024)
#define TX_ROOM 8               /* datagrams that one input may make */
#define EXPIRES_PER_TURN 64
#define RECEIVE_MIN 2048        /* longer than we would send: such a request gets its 4.13 */
#define ANSWER_BYTES 1024       /* of an abort's 5.03 under all its layers */
#define PORTS_AT_START 2        /* upstream ports: one to use and one ahead of it */
#define PORT_RETRY_US OSP_SEC(1)        /* after one could not be opened */

struct port {                   /* a socket's place in the loop */
    struct osp_worker *worker;
    struct osp_watch  *watch;
    uint16_t           index;
};

struct osp_worker {
    struct osp_worker_cfg   cfg;
    struct osp_loop        *loop;
    struct osp_proxy       *proxy;
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

/* ---- changes ---- */

static void on_readable(void *ctx);

static enum osp_err
grow(struct osp_worker *w, size_t count)
{
    struct osp_udp_sock *s = reallocarray(w->socks, count, sizeof(*s));
    struct port        **p;

    if (!s)
        return OSP_E_NOMEM;
    w->socks = s;
    p = reallocarray(w->ports, count, sizeof(*w->ports));
    if (!p)
        return OSP_E_NOMEM;
    w->ports = p;
    for (; w->sock_count < count; w->sock_count++) {
        w->socks[w->sock_count] = (struct osp_udp_sock){ .fd = -1 };
        w->ports[w->sock_count] = NULL;
    }
    return OSP_OK;
}

static void
close_port(struct osp_worker *w, uint16_t index)
{
    if (w->ports[index]) {
        osp_watch_free(w->ports[index]->watch);
        free(w->ports[index]);
        w->ports[index] = NULL;
    }
    osp_udp_close(&w->socks[index]);
}

/* Takes `s` over, also on an error. */
static enum osp_err
set_port(struct osp_worker *w, uint16_t index, struct osp_udp_sock *s)
{
    struct port *p;

    if (index >= w->sock_count && grow(w, (size_t)index + 1) != OSP_OK) {
        osp_udp_close(s);
        return OSP_E_NOMEM;
    }
    close_port(w, index);
    w->socks[index] = *s;
    s->fd = -1;
    if (w->socks[index].fd == -1)
        return OSP_OK;
    p = calloc(1, sizeof(*p));
    if (p) {
        *p = (struct port){ .worker = w, .index = index };
        w->ports[index] = p;
        if (osp_watch_new(w->loop, w->socks[index].fd, on_readable, p, &p->watch) == OSP_OK)
            return OSP_OK;
    }
    close_port(w, index);
    return OSP_E_NOMEM;
}

/* Opens the next upstream port. */
static enum osp_err
open_upstream(struct osp_worker *w)
{
    struct osp_udp_how  how = { .receive_buffer = w->cfg.receive_buffer };
    struct osp_addr     any = { 0 };
    struct osp_udp_sock s;
    enum osp_err        e = osp_udp_open(&any, &how, &s);

    if (e != OSP_OK && errno == EAFNOSUPPORT) { /* a machine without IPv6 */
        any.ip = osp_ip_v4(0, 0, 0, 0);
        e = osp_udp_open(&any, &how, &s);
    }
    if (e == OSP_OK)
        e = set_port(w, (uint16_t)w->now.upstream_ports, &s);
    if (e == OSP_OK)
        w->now.upstream_ports++;
    return e;
}

enum osp_err
osp_worker_apply(struct osp_worker *w, struct osp_change *c)
{
    enum osp_err e = OSP_OK, first = OSP_OK;

    osp_proxy_set_policy(w->proxy, c->policy);
    for (size_t i = 0; i < c->slot_count; i++) {
        e = set_port(w, c->slots[i].index, &c->slots[i].sock);
        first = first == OSP_OK ? e : first;
    }
    osp_change_free(c);
    return first;
}

/* ---- one turn ---- */

static void
flush(struct osp_worker *w)
{
    w->now.dropped_tx += w->tx.dropped;
    w->tx.dropped = 0;
    if (w->tx.count)
        osp_udp_flush(w->io, w->socks, w->sock_count, &w->tx);
}

static void
make_room(struct osp_worker *w)
{
    if (osp_txq_is_low(&w->tx, TX_ROOM, w->cfg.proxy.ep.max_datagram))
        flush(w);
}

/* A name that cannot be asked for is one that does not resolve, for a second. */
static void
ask_name(struct osp_worker *w, const char *host, struct osp_time now)
{
    struct osp_note *n = osp_note_new(OSP_NOTE_RESOLVE);

    if (!n) {
        osp_proxy_resolved(w->proxy, host, OSP_E_RESOLVE, NULL, 0, OSP_SEC(1), now, &w->tx);
        return;
    }
    n->worker = w->cfg.index;
    (void)osp_slice_copy(osp_slice_head(osp_slice_str(host), sizeof(n->host) - 1), n->host, sizeof(n->host));
    osp_mailbox_post(w->cfg.main, n);
}

/* What EDHOC made; its first numbers are leased with the write that makes it durable. */
static void
keep(struct osp_worker *w, struct osp_made *m)
{
    struct osp_octx *c = m->octx;

    osp_octx_ref(c);
    if (!osp_kept_add(w->cfg.kept, m, (uint64_t)time(NULL))) {
        log_warning("context-lost", "reason=%s", osp_err_text(OSP_E_NOMEM));
        osp_octx_unref(c);
    } else if (osp_octx_wants_lease(c, w->cfg.proxy.lease_low)) {
        osp_leaser_ask(w->leaser, c);
    } else {
        osp_octx_unref(c);
    }
}

static void
tell_worn(struct osp_worker *w, struct osp_octx *c, enum osp_key_state state)
{
    struct osp_note *n = osp_note_new(OSP_NOTE_WORN);

    if (!n) {
        osp_octx_unref(c);
        return;
    }
    n->ctx = c;
    n->key_state = state;
    osp_mailbox_post(w->cfg.main, n);
}

/* `whom`: "coap://192.0.2.7:5683 NAME", with a subject behind it where who is there was judged by that. */
static void
tell_agreed(char *whom, enum osp_err e)
{
    char *name = strchr(whom, ' '), *subject;

    if (!name)
        return;
    *name++ = '\0';
    subject = strchr(name, ' ');
    if (subject)
        *subject++ = '\0';
    if (e == OSP_OK && subject)
        log_info("edhoc-agreed", "with=%s credential=%s subject=%s", whom, name, subject);
    else if (e == OSP_OK)
        log_info("edhoc-agreed", "with=%s credential=%s", whom, name);
    else if (subject)
        log_warning("edhoc-failed", "with=%s credential=%s subject=%s reason=%s", whom, name, subject, osp_err_text(e));
    else
        log_warning("edhoc-failed", "with=%s credential=%s reason=%s", whom, name, osp_err_text(e));
}

static void
take_asks(struct osp_worker *w, struct osp_time now)
{
    struct osp_ask ask;

    while (osp_proxy_next_ask(w->proxy, &ask)) {
        switch (ask.kind) {
        case OSP_ASK_RESOLVE:
            ask_name(w, ask.host, now);
            break;
        case OSP_ASK_LEASE:
            osp_leaser_ask(w->leaser, ask.ctx);
            break;
        case OSP_ASK_WORN:
            tell_worn(w, ask.ctx, ask.state);
            break;
        case OSP_ASK_AGREED:
            tell_agreed(ask.host, ask.err);
            break;
        case OSP_ASK_KEEP:
            keep(w, ask.made);
            break;
        }
    }
}

static bool
is_request(struct osp_slice d)
{
    return d.n >= 4 && osp_code_is_request(d.p[1]);
}

static void
input(struct osp_worker *w, const struct osp_udp_sock *s, const struct osp_flow *flow, struct osp_slice d, struct osp_time now)
{
    /* Requests are served where the operator listens, and nowhere else. */
    if (!s->listener && is_request(d)) {
        w->now.dropped_foreign++;
        return;
    }
    if (w->draining && is_request(d))
        w->now.refused_draining++;      /* by lib/proxy, with 5.03 */
    make_room(w);
    osp_proxy_input(w->proxy, flow, d, now, &w->tx);
    take_asks(w, now);
}

static void
on_readable(void *ctx)
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

static void
on_alarm(void *ctx)
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
static void
open_ahead(struct osp_worker *w, const struct osp_ep_stats *ep, struct osp_time now)
{
    enum osp_err e;

    if (ep->socks_used < w->now.upstream_ports || w->now.upstream_ports >= w->cfg.upstream_ports ||
        !osp_time_due(w->port_retry, now))
        return;
    e = open_upstream(w);
    if (e == OSP_OK) {
        osp_proxy_set_socks(w->proxy, (uint16_t)w->now.upstream_ports);
        return;
    }
    w->port_retry = osp_time_after(now, PORT_RETRY_US);
    if (osp_shortage_has_begun(&w->shortages.ports, ++w->now.ports_failed, now))
        log_warning("upstream-port-failed", "worker=%u open=%zu reason=%s", w->cfg.index, w->now.upstream_ports,
                    e == OSP_E_INVALID ? strerror(errno) : osp_err_text(e));
}

static void
end_turn(struct osp_worker *w)
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
            make_room(w);
            (void)osp_proxy_expire(w->proxy, now, &w->tx);
            take_asks(w, now);
        }
    }
    flush(w);
    ep = osp_proxy_ep_stats(w->proxy);
    open_ahead(w, ep, now);
    osp_shortages_tell(&w->shortages, ep, w->cfg.proxy.ep.max_messages, w->cfg.index, w->now.upstream_ports, now);
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

/* ---- notes ---- */

static void
collect(struct osp_worker *w)
{
    struct osp_worker_stats *s = &w->now;

    osp_proxy_stats(w->proxy, &s->proxy);
    s->ep = *osp_proxy_ep_stats(w->proxy);
    s->udp = *osp_udp_io_stats(w->io);
}

static void
publish(struct osp_worker *w, uint64_t seq)
{
    collect(w);
    (void)pthread_mutex_lock(&w->lock);
    w->published = w->now;
    if (seq > w->done)
        w->done = seq;
    (void)pthread_cond_broadcast(&w->progress);
    (void)pthread_mutex_unlock(&w->lock);
}

/* Ends `count` exchanges by `fn`.  The answers may be more than a turn's queue holds: they get one of their own. */
static void
answer_many(struct osp_worker *w, size_t count, struct osp_time now,
            void (*fn)(struct osp_proxy *px, struct osp_time now, struct osp_txq *tx))
{
    struct osp_txq q, *to = &w->tx;

    flush(w);
    if (osp_txq_init(&q, count + TX_ROOM, (count + TX_ROOM) * ANSWER_BYTES) == OSP_OK)
        to = &q;
    fn(w->proxy, now, to);
    if (to == &q) {
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
    flush(w);
    w->leaving = true;
}

static void
handle_note(struct osp_worker *w, struct osp_note *n, struct osp_time now)
{
    switch (n->kind) {
    case OSP_NOTE_RESOLVED:
        osp_proxy_resolved(w->proxy, n->host, n->err, n->ips, n->ip_count, n->ttl_us, now, &w->tx);
        break;
    case OSP_NOTE_LEASED:
        osp_proxy_leased(w->proxy, n->ctx, now, &w->tx);
        break;
    case OSP_NOTE_CHANGE:
        if (osp_worker_apply(w, n->change) != OSP_OK)
            log_error("listener-lost", "worker=%u reason=%s", w->cfg.index, osp_err_text(OSP_E_NOMEM));
        publish(w, n->seq);
        break;
    case OSP_NOTE_PUBLISH:
        publish(w, n->seq);
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
        break; /* the main thread's */
    }
}

static void
on_notes(void *ctx)
{
    struct osp_worker *w = ctx;
    struct osp_note   *n = osp_mailbox_take(&w->inbox), *next;
    struct osp_time    now = osp_loop_now();

    for (; n; n = next) {
        next = n->next;
        make_room(w);
        handle_note(w, n, now);
        take_asks(w, now);
        osp_note_free(n);
    }
}

static void *
run(void *arg)
{
    struct osp_worker *w = arg;

    while (!w->leaving) {
        osp_loop_turn(w->loop);
        end_turn(w);
    }
    publish(w, UINT64_MAX);
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

static enum osp_err
make(struct osp_worker *w)
{
    size_t          max = w->cfg.proxy.ep.max_datagram;
    size_t          bytes = TX_BYTES > 2 * TX_ROOM * max ? TX_BYTES : 2 * TX_ROOM * max;
    struct osp_rand rand = { .fill = fill_random };
    enum osp_err    e = osp_loop_new(&w->loop);

    if (e == OSP_OK)
        e = osp_udp_io_new(max > RECEIVE_MIN ? max : RECEIVE_MIN, &w->io);
    if (e == OSP_OK)
        e = osp_txq_init(&w->tx, TX_ITEMS, bytes);
    if (e == OSP_OK)
        e = osp_proxy_new(&w->cfg.proxy, rand, osp_loop_now(), &w->proxy);
    if (e == OSP_OK)
        e = osp_alarm_new(w->loop, on_alarm, w, &w->alarm);
    if (e == OSP_OK)
        e = osp_watch_new(w->loop, w->inbox.fd, on_notes, w, &w->inbox_watch);
    while (e == OSP_OK && w->now.upstream_ports < w->cfg.proxy.ep.client_socks)
        e = open_upstream(w);
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
    w->cfg.proxy.ep.client_socks = (uint16_t)(cfg->upstream_ports < PORTS_AT_START ? cfg->upstream_ports : PORTS_AT_START);
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
        close_port(w, (uint16_t)i);
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
        (void)usleep(1000); /* out of memory: the thread has to be told all the same */
    (void)pthread_join(w->thread, NULL);
    w->running = false;
}
