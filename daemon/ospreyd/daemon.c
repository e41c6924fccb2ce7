/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/daemon_impl.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/pool.h"
#include "daemon/common/secrets.h"
#include "daemon/ospreyd/store/guard.h"
#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/systemd.h"

#define FDS_OTHER 256           /* descriptors beside those of the workers: store, control, status, resolver */
#define BESIDE_MESSAGE 512u     /* bytes kept with a message in one block of memory: what its layers add, and options */

const struct osp_cfg *
osp_daemon_cfg(const struct osp_daemon *d)
{
    return osp_setup_cfg(d->policy);
}

/* A worker takes its memory in chunks of one block size: with too few of them it would start and refuse every request. */
bool
osp_daemon_has_memory(const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    size_t body = cfg->limits.max_body, datagram = cfg->limits.max_datagram, have = cfg->limits.memory;
    size_t each = osp_pool_floor((body > datagram ? body : datagram) + BESIDE_MESSAGE);

    if (have / cfg->workers >= each)
        return true;
    (void)snprintf(why, OSP_STORE_WHY_MAX, "limits.memory: %zuKiB are too few for %u workers, which could not take a request: "
                   "at least %zuKiB", have / 1024, cfg->workers, each / 1024 * cfg->workers);
    return false;
}

enum osp_err
osp_daemon_policy(struct osp_cfg *cfg, const struct osp_ctxset *set, const struct osp_listeners *l,
                  const struct osp_edhoc_parts *edhoc, struct osp_policy **out, char why[OSP_STORE_WHY_MAX])
{
    size_t                count = osp_listeners_ports_count(l);
    uint16_t             *port = calloc(count ? count : 1, sizeof(*port));
    struct osp_sock_ports ports = { port, count };
    enum osp_err          e = port ? OSP_OK : OSP_E_NOMEM;

    if (e != OSP_OK)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "policy: out of memory");
    else if (!osp_daemon_has_memory(cfg, why))
        e = OSP_E_INVALID;
    if (e != OSP_OK) {
        free(port);
        return e;
    }
    osp_listeners_ports(l, port);
    e = osp_setup_policy(cfg, set, &ports, edhoc, out, why);
    free(port);
    return e;
}

/* ---- EDHOC: sessions and the contexts made ---- */

#define HOUSEKEEPING_US OSP_SEC(10)

static enum osp_err
make_edhoc_parts(const struct cfg_edhoc *cfg, struct osp_edhoc_parts *out)
{
    struct osp_kept_cfg      k = osp_setup_kept_cfg(cfg);
    struct osp_responder_cfg r = osp_setup_responder_cfg(cfg);
    struct osp_hash_key      key;
    enum osp_err             e = osp_crypto_random((uint8_t *)&key, sizeof(key));

    if (e == OSP_OK)
        e = osp_kept_new(&k, &out->kept);
    if (e == OSP_OK)
        e = osp_responder_new(&r, key, osp_kept_runtime(out->kept), &out->responder);
    return e;
}

static void
free_edhoc_parts(struct osp_edhoc_parts *p)
{
    osp_responder_free(p->responder);
    osp_kept_free(p->kept);
}

/* Work that no event asks for: sessions and contexts end with time, and the time of day may have been set. */
static void
on_housekeeping(void *ctx)
{
    struct osp_daemon *d = ctx;
    struct osp_time    now = osp_loop_now();
    uint64_t           now_s = (uint64_t)time(NULL);
    size_t             expired;

    osp_responder_set_clock(d->edhoc.responder, (int64_t)(now_s - now.us / OSP_SEC(1)));
    osp_responder_expire(d->edhoc.responder, now);
    expired = osp_kept_expire(d->edhoc.kept, now_s);
    if (expired)
        log_info("contexts-expired", "count=%zu", expired);
    osp_daemon_tell_refused(d);
    if (osp_kept_is_due(d->edhoc.kept) && d->leaser)
        osp_leaser_wake(d->leaser);
    osp_daemon_watch_room(d);
    osp_alarm_at(d->housekeeping, osp_time_after(now, HOUSEKEEPING_US), now);
}

bool
osp_daemon_check(struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    struct osp_listeners none = { 0 };
    struct osp_state    *st = NULL;
    struct osp_ctxset   *set = NULL;
    struct osp_policy   *p = NULL;
    struct osp_edhoc_parts edhoc = { 0 };
    bool                 ok = false;

    if (osp_state_dry(&st) != OSP_OK || make_edhoc_parts(&cfg->edhoc, &edhoc) != OSP_OK)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "out of memory");
    else if (osp_state_build(st, cfg, &set, why) == OSP_OK)
        ok = osp_daemon_policy(cfg, set, &none, &edhoc, &p, why) == OSP_OK;
    if (!ok)
        cfg_free(cfg);
    osp_policy_unref(p);
    osp_ctxset_free(set);
    osp_state_close(st);
    free_edhoc_parts(&edhoc);
    return ok;
}

/* ---- stopping ---- */

static void
leave(struct osp_daemon *d)
{
    d->leaving = true;
}

static void
on_drain_end(void *ctx)
{
    struct osp_daemon *d = ctx;

    log_warning("drain-ended", "reason=%s workers=%zu idle=%zu", "time is up", d->worker_count, d->drained);
    leave(d);
}

void
osp_daemon_stop(struct osp_daemon *d)
{
    struct osp_time now = osp_loop_now();

    if (d->draining)
        return;
    d->draining = true;
    log_info("stopping", "drain-ms=%u", (unsigned)(osp_daemon_cfg(d)->limits.drain_us / 1000));
    osp_systemd_stopping();
    for (size_t i = 0; i < d->worker_count; i++)
        osp_worker_drain(d->workers[i]);
    osp_alarm_at(d->drain_alarm, osp_time_after(now, osp_daemon_cfg(d)->limits.drain_us), now);
}

static void
on_term(void *ctx)
{
    struct osp_daemon *d = ctx;

    if (d->draining) {
        /* The next start finds this as it finds a crash, and copes. */
        log_warning("stopped-at-once", "effect=%s", "the next start treats all replay windows as unknown");
        _exit(EXIT_FAILURE);
    }
    osp_daemon_stop(d);
}

static void
on_hup(void *ctx)
{
    struct osp_daemon *d = ctx;

    if (!d->draining)
        (void)osp_daemon_reload(d, NULL);
}

static void
on_watchdog(void *ctx)
{
    struct osp_daemon *d = ctx;
    struct osp_time    now = osp_loop_now();

    if (osp_daemon_poll(d) == d->worker_count)
        osp_systemd_alive();
    osp_alarm_at(d->watchdog, osp_time_after(now, osp_systemd_watchdog_us() / 2), now);
}

static void
on_notes(void *ctx)
{
    struct osp_daemon *d = ctx;
    struct osp_note   *n = osp_mailbox_take(&d->inbox), *next;

    for (; n; n = next) {
        next = n->next;
        if (n->kind == OSP_NOTE_RESOLVE)
            osp_dns_ask(d->dns, n->host, n->worker);
        else if (n->kind == OSP_NOTE_WORN)
            osp_daemon_worn(d, n->ctx, n->key_state);
        else if (n->kind == OSP_NOTE_DRAINED && ++d->drained == d->worker_count)
            leave(d);
        osp_note_free(n);
    }
}

/* ---- start ---- */

/* This worker's share of what the limits allow the whole daemon. */
static size_t
share(size_t limit, unsigned workers)
{
    return (limit + workers - 1) / workers;
}

#define RATES 65536             /* clients whose rate is remembered */

static enum osp_err
make_shares(const struct osp_cfg *cfg, struct osp_shares **out)
{
    struct osp_shares_cfg c = { .workers = cfg->workers, .client = cfg->limits.client_share, .prefix = cfg->limits.prefix_share,
                                .reserve = cfg->limits.known_reserve, .rates = RATES };
    struct osp_hash_key   key;
    enum osp_err          e = osp_crypto_random((uint8_t *)&key, sizeof(key));

    c.bound[OSP_SHARE_EXCHANGES] = c.bound[OSP_SHARE_SEPARATE] = cfg->limits.exchanges;
    c.bound[OSP_SHARE_OBSERVATIONS] = cfg->limits.exchanges / 2;
    c.bound[OSP_SHARE_BODIES] = cfg->limits.bodies;
    return e == OSP_OK ? osp_shares_new(&c, key, out) : e;
}

static struct osp_worker_cfg
worker_cfg(struct osp_daemon *d, const struct osp_cfg *cfg, unsigned index)
{
    struct osp_worker_cfg w = { .index = index, .main = &d->inbox };
    struct osp_ep_cfg    *ep = &w.ep;

    osp_proxy_cfg_default(&w.proxy);
    osp_ep_cfg_default(ep);
    ep->early_ack_us = cfg->limits.early_ack_us;
    ep->nstart = cfg->limits.nstart;
    ep->max_queued = share(cfg->limits.queued, cfg->workers);
    ep->max_messages = share(cfg->limits.messages, cfg->workers);
    ep->max_requests = share(cfg->limits.exchanges, cfg->workers);
    ep->max_peers = share(cfg->limits.upstream_peers, cfg->workers);
    ep->max_token = cfg->limits.max_token;
    ep->max_datagram = cfg->limits.max_datagram;
    w.proxy.max_exchanges = share(cfg->limits.exchanges, cfg->workers);
    w.proxy.max_names = share(cfg->limits.names, cfg->workers);
    w.proxy.amplification = cfg->limits.amplification;
    w.proxy.max_body = cfg->limits.max_body;
    w.proxy.max_bodies = share(cfg->limits.bodies, cfg->workers);
    w.proxy.max_bodies_per_peer = cfg->limits.bodies_per_peer;
    w.proxy.pool_bytes = share(cfg->limits.memory, cfg->workers);
    w.proxy.lease_low = cfg->lease.block / 2;
    w.proxy.echo_key = d->echo_key;
    w.proxy.shares = d->shares;
    w.kept = d->edhoc.kept;
    w.upstream_ports = cfg->limits.upstream_ports;
    w.receive_buffer = cfg->limits.receive_buffer;
    return w;
}

static enum osp_err
make_workers(struct osp_daemon *d, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    d->workers = calloc(cfg->workers, sizeof(struct osp_worker *));
    d->boxes = calloc(cfg->workers, sizeof(struct osp_mailbox *));
    d->stats = calloc(cfg->workers, sizeof(*d->stats));
    if (!d->workers || !d->boxes || !d->stats) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "workers: out of memory");
        return OSP_E_NOMEM;
    }
    for (unsigned i = 0; i < cfg->workers; i++) {
        struct osp_worker_cfg w = worker_cfg(d, cfg, i);
        enum osp_err          e = osp_worker_new(&w, &d->workers[i]);

        if (e != OSP_OK) {
            (void)snprintf(why, OSP_STORE_WHY_MAX, "worker %u: %s", i, e == OSP_E_INVALID ? strerror(errno) : osp_err_text(e));
            return e;
        }
        d->worker_count++;
        d->boxes[i] = osp_worker_mailbox(d->workers[i]);
    }
    return OSP_OK;
}

/* Starts what the main thread does itself: loop, signals, resolver, control and status. */
static enum osp_err
make_main(struct osp_daemon *d, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e = OSP_OK;

    if (osp_loop_on_signal(d->loop, SIGTERM, on_term, d) != OSP_OK || osp_loop_on_signal(d->loop, SIGINT, on_term, d) != OSP_OK ||
        osp_loop_on_signal(d->loop, SIGHUP, on_hup, d) != OSP_OK ||
        osp_watch_new(d->loop, d->inbox.fd, on_notes, d, &d->inbox_watch) != OSP_OK ||
        osp_alarm_new(d->loop, on_drain_end, d, &d->drain_alarm) != OSP_OK ||
        osp_alarm_new(d->loop, on_watchdog, d, &d->watchdog) != OSP_OK ||
        osp_alarm_new(d->loop, on_housekeeping, d, &d->housekeeping) != OSP_OK ||
        osp_dns_new(d->loop, d->boxes, d->worker_count, &d->dns) != OSP_OK) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "event loop or resolver: cannot be set up");
        return OSP_E_NOMEM;
    }
    e = osp_addresses_new(d->loop, &d->addresses);
    if (e != OSP_OK)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "addresses of this machine: %s", osp_err_text(e));
    if (e == OSP_OK && cfg->control)
        e = osp_control_new(d->loop, cfg->control, d, &d->control, why);
    if (e == OSP_OK && cfg->status.enabled) {
        struct osp_addr at = { .ip = cfg->status.ip, .port = cfg->status.port };
        e = osp_status_new(d->loop, &at, d, &d->status, why);
    }
    return e;
}

/* Makes what all workers share: the cache, the shares of clients, requests on their way. */
static enum osp_err
make_shared(struct osp_daemon *d, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    struct osp_cache_cfg c;
    struct osp_hash_key  seed;
    enum osp_err         e;

    e = osp_crypto_random((uint8_t *)&seed, sizeof(seed));
    if (e == OSP_OK)
        e = osp_outbound_new(seed, &d->outbound);
    if (e != OSP_OK || cfg->cache.size == 0) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "requests on their way: %s", osp_err_text(e));
        return e;
    }
    osp_cache_cfg_default(&c);
    c.bytes = cfg->cache.size;
    c.max_entry = cfg->cache.max_entry;
    c.request_hash = (uint16_t)cfg->cache.request_hash;
    e = osp_crypto_random((uint8_t *)&seed, sizeof(seed));
    if (e == OSP_OK)
        e = osp_cache_new(&c, seed, &d->cache);
    if (e == OSP_OK)
        osp_cache_cap_age(d->cache, (uint32_t)(cfg->cache.max_age_us / OSP_SEC(1)));
    else
        (void)snprintf(why, OSP_STORE_WHY_MAX, "cache: %s", osp_err_text(e));
    return e;
}

/* Opens the listeners, makes contexts and policy, and gives them to the workers.  Takes `cfg` on OSP_OK. */
static enum osp_err
make_service(struct osp_daemon *d, struct osp_cfg *cfg, struct osp_ctxset **set, char why[OSP_STORE_WHY_MAX])
{
    struct osp_change  **changes = calloc(d->worker_count, sizeof(struct osp_change *));
    struct osp_listeners next;
    enum osp_err         e = changes ? OSP_OK : OSP_E_NOMEM;

    if (e != OSP_OK) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "listen: out of memory");
        return e;
    }
    osp_listeners_init(&d->listeners, cfg->limits.upstream_ports);
    e = osp_listeners_plan(&d->listeners, cfg, d->worker_count, &next, changes, why);
    if (e == OSP_OK) {
        d->listeners = next;
        e = osp_state_build(d->state, cfg, set, why);
    }
    if (e == OSP_OK)
        e = osp_daemon_policy(cfg, *set, &d->listeners, &d->edhoc, &d->policy, why);
    if (e == OSP_OK) {
        d->policy->cache = d->cache;
        d->policy->addresses = osp_addresses_set(d->addresses);
        d->policy->outbound = d->outbound;
    }
    for (size_t i = 0; i < d->worker_count; i++) {
        if (e != OSP_OK) {
            osp_change_free(changes[i]);
            continue;
        }
        osp_policy_ref(d->policy);
        changes[i]->policy = d->policy;
        e = osp_worker_apply(d->workers[i], changes[i]);
        if (e != OSP_OK)
            (void)snprintf(why, OSP_STORE_WHY_MAX, "worker %zu: %s", i, osp_err_text(e));
    }
    free(changes);
    return e;
}

/* Marks the run as running in the store, and lets the workers read datagrams. */
static enum osp_err
go(struct osp_daemon *d, struct osp_ctxset *set, char why[OSP_STORE_WHY_MAX])
{
    sigset_t     all, old;
    enum osp_err e = osp_state_prepare(d->state, set, osp_daemon_cfg(d), why);

    if (e != OSP_OK) {
        osp_state_discard(d->state, set);
        return e;
    }
    osp_state_adopt(d->state, set);
    osp_daemon_prune(d);
    (void)sigfillset(&all);
    /* Not blocked: it is raised in the thread whose access failed, and the guard handles it there. */
    (void)sigdelset(&all, SIGBUS);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* the workers inherit this, so that signals come to the main thread */
    e = osp_leaser_start(d->state, d->boxes, d->worker_count, &d->leaser);
    for (size_t i = 0; e == OSP_OK && i < d->worker_count; i++)
        e = osp_worker_start(d->workers[i], d->leaser);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e != OSP_OK)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "threads: cannot be started");
    return e;
}

static void
raise_limits(const struct osp_cfg *cfg)
{
    struct rlimit r;
    rlim_t        want = FDS_OTHER + (rlim_t)cfg->workers * (cfg->limits.upstream_ports + cfg->listen_count + 8);

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= want)
        return;
    r.rlim_cur = r.rlim_max == RLIM_INFINITY || r.rlim_max >= want ? want : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur < want)
        log_warning("few-descriptors", "limit=%u wanted=%u", (unsigned)r.rlim_cur, (unsigned)want);
}

static void
say_started(const struct osp_daemon *d)
{
    const struct osp_cfg *cfg = osp_daemon_cfg(d);
    char                  text[OSP_ADDR_TEXT_MAX], status[128];

    for (size_t i = 0; i < d->listeners.count; i++) {
        osp_addr_print(&d->listeners.items[i].at, text, sizeof(text));
        log_info("listening", "address=%s", text);
    }
    if (d->lock_error)
        log_warning("memory-not-locked", "reason=%s effect=%s advice=%s", strerror(d->lock_error), "keys may get into swap",
                    "raise the limit of locked memory to unlimited, LimitMEMLOCK=infinity");
    if (d->unclean_start)
        log_warning("unclean-stop", "effect=%s", "the first request of each context is challenged, its replay window is unknown");
    log_info("started", "version=%s workers=%zu contexts=%zu file=%s", OSP_VERSION, d->worker_count, cfg->context_count,
             cfg->file);
    (void)snprintf(status, sizeof(status), "Serving with %zu workers, %zu contexts", d->worker_count, cfg->context_count);
    osp_systemd_ready(status);
}

enum osp_err
osp_daemon_start(struct osp_cfg *cfg, struct osp_daemon **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_daemon *d = calloc(1, sizeof(*d));
    struct osp_ctxset *set = NULL;
    enum osp_err       e = OSP_E_NOMEM;

    (void)snprintf(why, OSP_STORE_WHY_MAX, "out of memory");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit of file sizes then fails like one to a full disk */
    log_setup(cfg->log.level, cfg->log.format);
    raise_limits(cfg);
    if (d) {
        d->lock_error = osp_secrets_lock() ? 0 : errno; /* keys are in memory by now, anywhere that is allocated */
        d->started = osp_loop_now();
        d->has_inbox = osp_mailbox_init(&d->inbox) == OSP_OK;
    }
    if (d && d->has_inbox)
        e = osp_loop_new(&d->loop);
    if (e == OSP_OK)
        /* First, since it may have to fork, and since a second daemon has to be stopped here. */
        e = osp_state_open(cfg, &d->state, why);
    if (e == OSP_OK) {
        e = osp_guard_start(osp_state_store(d->state));
        if (e != OSP_OK)
            (void)snprintf(why, OSP_STORE_WHY_MAX, "threads: cannot be started");
    }
    if (e == OSP_OK)
        e = osp_crypto_random((uint8_t *)&d->echo_key, sizeof(d->echo_key));
    if (e == OSP_OK)
        e = make_edhoc_parts(&cfg->edhoc, &d->edhoc);
    if (e == OSP_OK)
        osp_state_use_kept(d->state, d->edhoc.kept);
    if (e == OSP_OK)
        e = make_shares(cfg, &d->shares);
    if (e == OSP_OK)
        e = make_workers(d, cfg, why);
    if (e == OSP_OK)
        e = make_main(d, cfg, why);
    if (e == OSP_OK)
        e = make_shared(d, cfg, why);
    if (e == OSP_OK)
        e = make_service(d, cfg, &set, why);
    if (e == OSP_OK)
        e = go(d, set, why);
    else
        osp_ctxset_free(set);
    if (e != OSP_OK) {
        if (!d || !d->policy)
            cfg_free(cfg);
        osp_daemon_free(d);
        return e;
    }
    d->unclean_start = osp_state_store(d->state) && !osp_store_was_clean(osp_state_store(d->state));
    say_started(d);
    *out = d;
    return OSP_OK;
}

/* ---- life and end ---- */

bool
osp_daemon_run(struct osp_daemon *d)
{
    if (osp_systemd_watchdog_us())
        on_watchdog(d);
    on_housekeeping(d);
    while (!d->leaving)
        osp_loop_turn(d->loop);
    for (size_t i = 0; i < d->worker_count; i++)
        osp_worker_join(d->workers[i]);
    osp_leaser_stop(d->leaser);
    d->leaser = NULL;
    d->was_clean = osp_state_save(d->state) == OSP_OK;
    if (d->was_clean)
        log_info("stopped", "uptime-s=%u", (unsigned)(osp_time_between(d->started, osp_loop_now()) / OSP_SEC(1)));
    else
        log_error("state-not-saved", "reason=%s effect=%s", osp_state_error(d->state),
                  "the next start treats all replay windows as unknown");
    return d->was_clean;
}

void
osp_daemon_free(struct osp_daemon *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->worker_count; i++)
        osp_worker_join(d->workers[i]);
    osp_leaser_stop(d->leaser);
    osp_status_free(d->status);
    osp_control_free(d->control);
    osp_dns_free(d->dns);
    for (size_t i = 0; i < d->worker_count; i++)
        osp_worker_free(d->workers[i]);
    osp_shares_free(d->shares);
    osp_watch_free(d->inbox_watch);
    osp_alarm_free(d->drain_alarm);
    osp_alarm_free(d->watchdog);
    osp_alarm_free(d->housekeeping);
    if (d->has_inbox)
        osp_mailbox_fini(&d->inbox);
    osp_listeners_fini(&d->listeners);
    osp_policy_unref(d->policy);
    osp_addresses_free(d->addresses);
    osp_cache_free(d->cache);
    osp_outbound_free(d->outbound);
    osp_guard_stop();
    osp_state_close(d->state);
    free_edhoc_parts(&d->edhoc);
    osp_loop_free(d->loop);
    free(d->workers);
    free(d->boxes);
    free(d->stats);
    free(d);
}
