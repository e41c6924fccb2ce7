/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reload: everything that can fail is done before the first worker hears of it, and undone if it fails.
 */
#include "daemon/ospreyd/daemon_impl.h"

#include <stdlib.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/systemd.h"

#define SWITCH_MS 10000         /* a worker that takes longer is stuck */

struct plan {
    struct osp_cfg      *cfg;           /* NULL once a policy has taken it */
    struct osp_ctxset   *set;
    struct osp_policy   *policy;
    struct osp_listeners listeners;
    struct osp_change  **changes;       /* by worker */
    bool                 has_listeners;
};

/* One line for whoever asked for the reload. */
static void
say_line(FILE *say, const struct cfg_pos *pos, const char *key, const char *text)
{
    if (say && pos && pos->file)
        (void)fprintf(say, "%s:%u:%u: ", pos->file, pos->line, pos->column);
    if (say)
        (void)fprintf(say, "%s%s%s\n", key ? key : "", key && *key ? ": " : "", text);
}

static void
emit_error(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    log_error("config", "file=%s line=%u column=%u key=%s text=%s", pos && pos->file ? pos->file : "", pos ? pos->line : 0,
              pos ? pos->column : 0, key ? key : "", text);
    say_line(ctx, pos, key, text);
}

/* A key that only a restart may change; nothing about it is wrong. */
static void
emit_restart(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    log_warning("restart-needed", "key=%s file=%s line=%u text=%s", key, pos && pos->file ? pos->file : "", pos ? pos->line : 0,
                text);
    say_line(ctx, pos, key, text);
}

/*
 * Reads the file and judges it as it is written, then gives it the values that are in force for the keys that only a restart
 * may change.  NULL: it was refused; `why` says it where the errors were not told one by one.
 */
static struct osp_cfg *
read_again(struct osp_daemon *d, FILE *say, uint64_t *restart_needed, char why[OSP_STORE_WHY_MAX])
{
    struct cfg_report errors = { .emit = emit_error, .ctx = say }, restart = { .emit = emit_restart, .ctx = say };
    struct osp_cfg   *cfg = cfg_load(osp_daemon_cfg(d)->file, &errors);
    size_t            count = 0;
    bool              ok = cfg && osp_daemon_has_memory(cfg, why);

    if (ok && !cfg_keep_started(osp_daemon_cfg(d), cfg, &restart, &count)) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "reload: out of memory");
        ok = false;
    }
    *restart_needed = count;
    if (ok)
        return cfg;
    cfg_free(cfg);
    return NULL;
}

/* Does everything that can fail; undo() takes it back.  `why` has one line. */
static enum osp_err
prepare(struct osp_daemon *d, struct plan *p, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e;

    p->changes = calloc(d->worker_count, sizeof(struct osp_change *));
    if (!p->changes) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "reload: out of memory");
        return OSP_E_NOMEM;
    }
    e = osp_listeners_plan(&d->listeners, p->cfg, d->worker_count, &p->listeners, p->changes, why);
    p->has_listeners = e == OSP_OK;
    if (e == OSP_OK)
        e = osp_state_build(d->state, p->cfg, &p->set, why);
    if (e == OSP_OK)
        e = osp_daemon_policy(p->cfg, p->set, &p->listeners, &d->edhoc, &p->policy, why);
    if (e != OSP_OK)
        return e;
    p->policy->cache = d->cache;
    p->policy->addresses = osp_addresses_set(d->addresses);
    p->policy->outbound = d->outbound;
    e = osp_state_prepare(d->state, p->set, p->cfg, why); /* last, since it writes to the store */
    p->cfg = NULL;
    return e;
}

static void
undo(struct osp_daemon *d, struct plan *p)
{
    for (size_t i = 0; p->changes && i < d->worker_count; i++)
        osp_change_free(p->changes[i]);
    if (p->has_listeners)
        osp_listeners_fini(&p->listeners);
    osp_policy_unref(p->policy);
    if (p->set)
        osp_state_discard(d->state, p->set);
    cfg_free(p->cfg);
}

/* Gives the new policy to every worker and waits.  False: some worker may still look contexts up in the old policy. */
static bool
switch_workers(struct osp_daemon *d, struct plan *p)
{
    bool all = true;

    for (size_t i = 0; i < d->worker_count; i++) {
        osp_policy_ref(p->policy);
        p->changes[i]->policy = p->policy;
        if (!osp_worker_change(d->workers[i], p->changes[i])) {
            log_error("worker-keeps-old-configuration", "worker=%zu reason=%s", i, osp_err_text(OSP_E_NOMEM));
            all = false;
        }
    }
    for (size_t i = 0; i < d->worker_count; i++) {
        if (!osp_worker_is_current(d->workers[i], SWITCH_MS)) {
            log_error("worker-stuck", "worker=%zu", i);
            all = false;
        }
    }
    return all;
}

/* Logs which addresses the change opened and closed. */
static void
say_listeners(const struct osp_listeners *was, const struct osp_listeners *is)
{
    char text[OSP_ADDR_TEXT_MAX];

    for (size_t i = 0; i < is->count; i++) {
        bool was_open = i < was->count && was->items[i].open;

        osp_addr_print(&is->items[i].at, text, sizeof(text));
        if (is->items[i].open && !was_open)
            log_info("listening", "address=%s", text);
        else if (!is->items[i].open && was_open)
            log_info("not-listening", "address=%s", text);
    }
}

/* [rfc9668#4.1.2] True if a context that EDHOC made may stay: its credential is trusted, and no configured context has its
   ID, since requests would then be taken for those of the configured one. */
static bool
stays(void *ctx, const struct osp_octx *c)
{
    const struct osp_policy *p = ctx;

    return osp_policy_trusts(p, osp_octx_label(c)) && !osp_octx_configured_has_id(p->contexts, osp_octx_recipient_id(c));
}

void
osp_daemon_prune(struct osp_daemon *d)
{
    size_t n = osp_kept_prune(d->edhoc.kept, stays, d->policy);

    if (n == 0)
        return;
    log_info("contexts-revoked", "count=%zu reason=%s", n,
             "their credential is trusted no longer or was replaced, or a configured context has their Recipient ID");
    if (d->leaser)
        osp_leaser_wake(d->leaser);
}

static void
commit(struct osp_daemon *d, struct plan *p)
{
    const struct osp_cfg *cfg = osp_setup_cfg(p->policy);

    if (!switch_workers(d, p))
        osp_state_distrust(d->state);
    osp_state_adopt(d->state, p->set);
    say_listeners(&d->listeners, &p->listeners);
    osp_listeners_fini(&d->listeners);
    d->listeners = p->listeners;
    osp_policy_unref(d->policy);
    d->policy = p->policy;
    osp_daemon_prune(d);
    if (d->cache)
        osp_cache_cap_age(d->cache, d->policy->max_age);
    log_setup(cfg->log.level, cfg->log.format);
    osp_dns_reload(d->dns);
    d->counts.reloads++;
    log_info("reloaded", "contexts=%zu routes=%zu file=%s", cfg->context_count, cfg->route_count, cfg->file);
}

bool
osp_daemon_reload(struct osp_daemon *d, FILE *say)
{
    struct plan p = { 0 };
    uint64_t    restart_needed = 0;
    char        why[OSP_STORE_WHY_MAX] = "";
    bool        ok = false;

    if (d->draining) {
        if (say)
            (void)fprintf(say, "stopping\n");
        return false;
    }
    osp_systemd_reloading();
    p.cfg = read_again(d, say, &restart_needed, why);
    if (p.cfg) {
        ok = prepare(d, &p, why) == OSP_OK;
        if (ok) {
            commit(d, &p);
            d->counts.restart_needed = restart_needed;
        } else {
            undo(d, &p);
        }
    }
    free(p.changes);
    if (say && *why)
        (void)fprintf(say, "%s\n", why);
    if (!ok) {
        d->counts.reloads_refused++;
        log_error("reload-refused", "reason=%s effect=%s", *why ? why : "the file has errors", "everything goes on as before");
        if (say)
            (void)fprintf(say, "nothing was changed\n");
    } else if (say) {
        (void)fprintf(say, "reloaded\n");
    }
    osp_systemd_ready(ok ? "Serving" : "Serving; the last reload was refused");
    return ok;
}
