/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon tells about itself: counters, status lines, contexts. */
#include "daemon/ospreyd/daemon_impl.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "oscore/b2.h"
#include "daemon/ospreyd/loop.h"

#define NEAR_FULL 75            /* per cent of the room for records in the state file, from which on a warning is logged once */
#define FAR_FROM_FULL 65        /* per cent below which the warning may be logged again */
#define ANSWER_MS 1000          /* a worker that takes longer does not count as alive */

size_t
osp_daemon_poll(struct osp_daemon *d)
{
    struct osp_time until = osp_time_after(osp_loop_now(), OSP_MS(ANSWER_MS));
    size_t          alive = 0;

    for (size_t i = 0; i < d->worker_count; i++)
        (void)osp_worker_publish(d->workers[i]);
    for (size_t i = 0; i < d->worker_count; i++) {
        uint64_t left = osp_time_between(osp_loop_now(), until);

        alive += osp_worker_is_current(d->workers[i], (unsigned)(left / 1000));
        osp_worker_stats(d->workers[i], &d->stats[i]);
    }
    return alive;
}

void
osp_daemon_metrics(struct osp_daemon *d, struct osp_metrics *out)
{
    struct osp_metrics m = { .workers = d->stats, .worker_count = d->worker_count };

    m.workers_alive = osp_daemon_poll(d);
    osp_leaser_stats(d->leaser, &m.lease);
    m.dns = *osp_dns_stats(d->dns);
    if (osp_state_store(d->state))
        osp_store_size(osp_state_store(d->state), &m.state_used, &m.state_size);
    if (osp_state_store(d->state))
        m.state_fill = osp_store_fill_committed(osp_state_store(d->state));
    m.own_addresses = osp_addrset_count(osp_addresses_set(d->addresses));
    m.own_changes = osp_addresses_changes(d->addresses);
    if (d->cache)
        osp_cache_stats(d->cache, &m.cache);
    osp_responder_stats(d->edhoc.responder, &m.edhoc);
    osp_kept_stats(d->edhoc.kept, &m.kept);
    if (m.kept.limit == SIZE_MAX)
        m.kept.limit = 0;
    m.shares = d->shares;
    m.contexts = osp_daemon_cfg(d)->context_count;
    m.own = d->counts;
    m.control = osp_control_stats(d->control);
    m.status = osp_status_stats(d->status, &m.status_foreign);
    m.accept_pauses = m.control.pauses + m.status.pauses;
    m.uptime_s = osp_time_between(d->started, osp_loop_now()) / OSP_SEC(1);
    m.draining = d->draining;
    m.memory_locked = d->lock_error == 0;
    m.unclean_start = d->unclean_start;
    *out = m;
}

void
osp_daemon_watch_room(struct osp_daemon *d)
{
    struct osp_store     *s = osp_state_store(d->state);
    struct osp_kept_stats kept;
    unsigned              fill = s ? osp_store_fill_committed(s) : 0;
    bool                  is_at_limit;

    osp_kept_stats(d->edhoc.kept, &kept);
    is_at_limit = kept.count >= kept.limit && kept.limit < osp_daemon_cfg(d)->edhoc.contexts;
    if (!d->near_full && (fill >= NEAR_FULL || is_at_limit))
        log_warning("state-near-full", "fill-percent=%u kept-contexts=%zu kept-limit=%zu given-up=%" PRIu64 " advice=%s", fill,
                    kept.count, kept.limit, kept.no_room, "raise state-size and start again");
    if (fill >= NEAR_FULL || is_at_limit)
        d->near_full = true;
    else if (fill < FAR_FROM_FULL && kept.count < kept.limit / 10 * 9)
        d->near_full = false;
}

bool
osp_daemon_is_healthy(struct osp_daemon *d)
{
    return !d->draining && osp_daemon_poll(d) == d->worker_count;
}

static void
line(FILE *to, const char *key, uint64_t v)
{
    (void)fprintf(to, "%s: %" PRIu64 "\n", key, v);
}

void
osp_daemon_status(struct osp_daemon *d, FILE *to)
{
    struct osp_metrics    m;
    const struct osp_cfg *cfg = osp_daemon_cfg(d);
    char                  text[OSP_ADDR_TEXT_MAX];

    osp_daemon_metrics(d, &m);
    (void)fprintf(to, "version: %s\npid: %ld\nstate: %s\nconfiguration: %s\n", OSP_VERSION, (long)getpid(),
                  d->draining ? "stopping" : "serving", cfg->file);
    line(to, "uptime-seconds", m.uptime_s);
    (void)fprintf(to, "workers: %zu, %zu answering\n", m.worker_count, m.workers_alive);
    for (size_t i = 0; i < d->listeners.count; i++) {
        osp_addr_print(&d->listeners.items[i].at, text, sizeof(text));
        if (d->listeners.items[i].open)
            (void)fprintf(to, "listening: coap://%s\n", text);
    }
    line(to, "contexts", cfg->context_count);
    line(to, "kept-contexts", m.kept.count);
    line(to, "routes", cfg->route_count);
    (void)fprintf(to, "forward-proxy: %s\n", cfg->forward.enabled ? "on" : "off");
    (void)fprintf(to, "state-directory: %s\n", cfg->state ? cfg->state : "none");
    (void)fprintf(to, "last-stop: %s\n", d->unclean_start ? "unclean" : "clean");
#define SUM(member) osp_metrics_sum(&m, offsetof(struct osp_worker_stats, member))
    line(to, "requests", SUM(proxy.requests));
    line(to, "forwarded", SUM(proxy.forwarded_forward) + SUM(proxy.forwarded_reverse));
    line(to, "layers-removed", SUM(proxy.layers_removed));
    line(to, "layers-added", SUM(proxy.layers_added));
    line(to, "exchanges", SUM(proxy.exchanges));
    line(to, "exchanges-of-known-clients", SUM(proxy.used[OSP_SHARE_EXCHANGES][1]));
    line(to, "observations", SUM(proxy.observations));
    line(to, "observed-subjects", SUM(proxy.subjects));
    line(to, "reloads", m.own.reloads);
    line(to, "reloads-refused", m.own.reloads_refused);
    line(to, "restart-needed", m.own.restart_needed);
    line(to, "leases", m.lease.granted);
#undef SUM
}

void
osp_daemon_tell_refused(struct osp_daemon *d)
{
    uint64_t known = 0, unknown = 0;

    for (int k = 0; k < OSP_SHARE_KINDS; k++) {
        for (int why = 0; why < OSP_SHARE_WHYS; why++) {
            known += osp_shares_refused(d->shares, (enum osp_share_kind)k, true, (enum osp_share_why)why);
            unknown += osp_shares_refused(d->shares, (enum osp_share_kind)k, false, (enum osp_share_why)why);
        }
    }
    if (known + unknown == d->refused)
        return;
    log_warning("shares-refused", "count=%" PRIu64 " known-clients=%" PRIu64 " unknown-clients=%" PRIu64 " see=%s",
                known + unknown - d->refused, known, unknown, "osprey_share_refused_total");
    d->refused = known + unknown;
}

static void
put_hex(FILE *to, const char *key, struct osp_slice s)
{
    char text[2 * 255 + 1]; /* the longest value is an ID Context */

    osp_hex_encode(s, text, sizeof(text));
    (void)fprintf(to, " %s=%s", key, text);
}

static const char *
state_text(enum osp_key_state s)
{
    return s == OSP_KEY_FINE ? "fine" : s == OSP_KEY_WORN ? "worn" : "over";
}

void
osp_daemon_worn(struct osp_daemon *d, struct osp_octx *c, enum osp_key_state state)
{
    struct osp_key_usage u = osp_octx_usage(c);
    size_t               i = 0;
    bool                 known = osp_ctxset_index(osp_state_set(d->state), c, &i);
    const char          *name = known ? osp_daemon_cfg(d)->contexts[i].name : "(none)";
    bool                 renews;

    if (state == OSP_KEY_OVER)
        d->counts.keys_over++;
    else
        d->counts.keys_worn++;
    renews = known && osp_state_set(d->state)->entries[i].is_base;
    log_warning("key-limit", "context=%s state=%s q=%" PRIu32 " q-limit=%" PRIu32 " v=%" PRIu32 " v-limit=%" PRIu32 " effect=%s",
                name, state_text(state), u.q, u.limits.q, u.v, u.limits.v,
                renews                                     ? "keys are derived anew"
                : state == OSP_KEY_OVER && u.limits.stop ? "the context is not used any more; provision new keys"
                                                           : "provision new keys");
}

static void
show_use(struct osp_octx *c, FILE *to)
{
    struct osp_ssn       ssn = osp_octx_ssn(c);
    struct osp_key_usage used = osp_octx_usage(c);
    struct osp_replay    w;
    bool                 known = osp_octx_get_window(c, &w) == OSP_WINDOW_KNOWN;

    (void)fprintf(to, " next=%" PRIu64 " leased=%" PRIu64 " window=%s", ssn.next, ssn.limit, known ? "known" : "unknown");
    (void)fprintf(to, " q=%" PRIu32 " v=%" PRIu32 " keys=%s", used.q, used.v, state_text(used.state));
}

/* Writes IDs and use of a context; its name stands on the line already. */
static void
show_context(const struct osp_ctx_entry *e, FILE *to)
{
    struct osp_octx *c = e->is_base ? osp_b2_current(e->octx) : e->octx;
    struct osp_slice id;

    put_hex(to, "sender-id", osp_octx_sender_id(e->octx));
    put_hex(to, "recipient-id", osp_octx_recipient_id(e->octx));
    if (c && osp_octx_id_context(c, &id))
        put_hex(to, "id-context", id);
    if (c)
        show_use(c, to);
    (void)fprintf(to, "%s\n", c ? "" : " rekey=b2, not derived yet");
    if (e->is_base)
        osp_octx_unref(c);
}

void
osp_daemon_contexts(struct osp_daemon *d, const char *pattern, size_t max, FILE *to)
{
    const struct osp_cfg    *cfg = osp_daemon_cfg(d);
    const struct osp_ctxset *set = osp_state_set(d->state);
    size_t                   shown = 0, more = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (!osp_glob_match(pattern, cfg->contexts[i].name))
            continue;
        if (shown == max) {
            more++;
            continue;
        }
        shown++;
        (void)fprintf(to, "%s", cfg->contexts[i].name);
        show_context(&set->entries[i], to);
    }
    if (more)
        (void)fprintf(to, "(%zu more)\n", more);
    osp_kept_list(d->edhoc.kept, pattern, max, (uint64_t)time(NULL), to);
}

bool
osp_daemon_revoke(struct osp_daemon *d, const char *pattern, FILE *to)
{
    enum osp_err e;
    size_t       n;

    if (!*pattern) {
        (void)fprintf(to, "revoke: the name of a credential or of a peer is needed, or a pattern\n");
        return false;
    }
    n = osp_kept_revoke(d->edhoc.kept, pattern);
    log_info("contexts-revoked", "count=%zu reason=%s", n, "ospreyctl");
    e = osp_state_forget_kept(d->state);
    (void)fprintf(to, "revoked: %zu\n", n);
    if (e == OSP_OK)
        return true;
    n = osp_kept_unforgotten(d->edhoc.kept);
    log_error("revocation-not-stored", "count=%zu reason=%s effect=%s", n, osp_state_error(d->state),
              "they end now, but may come back at the next start: revoke again when the disk can be written");
    (void)fprintf(to, "not stored: %s; they may come back at the next start: revoke again when the disk can be written\n",
                  osp_state_error(d->state));
    osp_leaser_wake(d->leaser);
    return false;
}

bool
osp_daemon_cache(struct osp_daemon *d, FILE *to)
{
    struct osp_cache_stats c;

    if (!d->cache) {
        (void)fprintf(to, "cache: none; give it a size in the configuration\n");
        return false;
    }
    osp_cache_stats(d->cache, &c);
    line(to, "entries", c.entries);
    line(to, "bytes", c.bytes);
    line(to, "limit-bytes", c.limit);
    line(to, "hits", c.hits);
    line(to, "not-modified", c.not_modified);
    line(to, "stale", c.stale);
    line(to, "misses", c.misses);
    line(to, "stored", c.stored);
    line(to, "refreshed", c.refreshed);
    line(to, "evicted", c.evicted);
    return true;
}

bool
osp_daemon_purge(struct osp_daemon *d, const char *pattern, FILE *to)
{
    size_t n;

    if (!d->cache || !*pattern) {
        (void)fprintf(to, d->cache ? "purge: a pattern such as coap://host/path* is needed\n" : "cache: none\n");
        return false;
    }
    n = osp_cache_purge(d->cache, pattern);
    log_info("cache-purged", "entries=%zu", n);
    (void)fprintf(to, "purged: %zu\n", n);
    return true;
}
