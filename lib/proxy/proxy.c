/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/proxy.h"

#include <stdlib.h>

#include "proxy/access/access.h"
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"

#define EXPIRE_PER_CALL 64

void
osp_proxy_cfg_default(struct osp_proxy_cfg *cfg)
{
    *cfg = (struct osp_proxy_cfg){
        .max_exchanges = 65536,
        .max_names = 1024,
        .client_share = 100,
        .prefix_share = 100,
        .pool_bytes = (size_t)256 << 20,
        .max_body = 16384,
        .max_bodies = 1024,
        .max_bodies_per_peer = 64,
        .lease_low = 128,
    };
}

#define OWN_RATES 1024          /* clients whose rate is remembered by a proxy on its own */

static enum osp_err
init_shares(struct osp_proxy *px, const struct osp_proxy_cfg *cfg)
{
    struct osp_shares_cfg c = { .workers = 1, .client = cfg->client_share, .prefix = cfg->prefix_share,
                                .reserve = cfg->known_reserve, .rates = OWN_RATES };
    enum osp_err          e = OSP_OK;

    c.bound[OSP_SHARE_EXCHANGES] = c.bound[OSP_SHARE_SEPARATE] = cfg->max_exchanges;
    c.bound[OSP_SHARE_OBSERVATIONS] = cfg->max_exchanges / 2;
    c.bound[OSP_SHARE_BODIES] = cfg->max_bodies;
    px->shares = cfg->shares;
    if (!px->shares) {
        e = osp_shares_new(&c, px->seed, &px->own_shares);
        px->shares = px->own_shares;
    }
    return e == OSP_OK ? osp_ledger_init(&px->ledger, px->shares, &px->pool) : e;
}

static void
drop_scratch(struct osp_proxy *px)
{
    if (px->scratch)
        osp_wipe(px->scratch, px->scratch_cap);
    free(px->scratch);
    px->scratch = NULL;
}

/* For messages of `longest` bytes: a plaintext for each layer, one more for what is put together, and the values of options. */
static enum osp_err
make_scratch(struct osp_proxy *px, size_t longest)
{
    size_t cap = (longest + OSP_OSCORE_OVERHEAD) * (2 * PX_LAYERS_MAX + 4) + 16384;

    if (px->scratch && cap <= px->scratch_cap)
        return OSP_OK;
    drop_scratch(px);
    px->scratch = malloc(cap);
    px->scratch_cap = px->scratch ? cap : 0;
    return px->scratch ? OSP_OK : OSP_E_NOMEM;
}

static enum osp_err
init(struct osp_proxy *px, const struct osp_proxy_cfg *cfg, struct osp_rand rand, struct osp_time now)
{
    enum osp_err e;

    px->cfg = *cfg;
    osp_pool_init(&px->pool, cfg->pool_bytes);
    osp_randbuf_init(&px->rand, rand);
    osp_randbuf_take(&px->rand, (uint8_t *)&px->seed, sizeof(px->seed));
    osp_list_init(&px->exchanges);
    osp_list_init(&px->ready);
    osp_list_init(&px->at_once);
    osp_wheel_init(&px->patience, now);
    osp_list_init(&px->running);
    osp_wheel_init(&px->renewals, now);
    osp_list_init(&px->name_lru);
    osp_list_init(&px->name_asks);
    osp_list_init(&px->agreement_lru);
    for (size_t i = 0; i < PX_LEASE_SLOTS; i++)
        osp_list_init(&px->lease_waiters[i]);
    e = osp_crypto_new(&px->crypto);
    if (e == OSP_OK)
        e = init_shares(px, cfg);
    if (e == OSP_OK)
        e = osp_table_init(&px->names, cfg->max_names);
    if (e == OSP_OK)
        e = osp_table_init(&px->obs_clients, cfg->max_exchanges / 2 + 1);
    if (e == OSP_OK)
        e = osp_table_init(&px->obs_handles, cfg->max_exchanges / 2 + 1);
    if (e == OSP_OK)
        e = osp_table_init(&px->subjects, cfg->max_exchanges / 2 + 1);
    if (e == OSP_OK)
        e = osp_table_init(&px->flights, cfg->max_exchanges / 2 + 1);
    if (e == OSP_OK)
        e = osp_table_init(&px->agreements, PX_AGREEMENTS_MAX);
    if (e == OSP_OK)
        e = px_bodies_init(px);
    return e == OSP_OK ? make_scratch(px, cfg->max_body) : e;
}

enum osp_err
osp_proxy_new(const struct osp_proxy_cfg *cfg, struct osp_rand rand, struct osp_time now, struct osp_proxy **out)
{
    struct osp_proxy *px = calloc(1, sizeof(*px));
    enum osp_err      e;

    if (!px)
        return OSP_E_NOMEM;
    e = init(px, cfg, rand, now);
    if (e != OSP_OK) {
        osp_proxy_free(px);
        return e;
    }
    *out = px;
    return OSP_OK;
}

void
osp_proxy_free(struct osp_proxy *px)
{
    struct osp_list *n;
    struct osp_ask   ask;

    if (!px)
        return;
    while (px->exchanges.next && (n = osp_list_first(&px->exchanges)) != NULL)
        px_exchange_end(px, OSP_CONTAINER(n, struct px_exchange, link));
    px_subjects_free(px);
    while (px->ctx_ask_count + px->keep_count > 0 && osp_proxy_next_ask(px, &ask)) {
        if (ask.kind == OSP_ASK_KEEP)
            osp_recipe_free(ask.recipe);
        else
            osp_octx_unref(ask.ctx);
    }
    px_bodies_free(px);
    px_names_free(px);
    osp_table_fini(&px->names);
    osp_table_fini(&px->obs_clients);
    osp_table_fini(&px->obs_handles);
    osp_table_fini(&px->subjects);
    osp_table_fini(&px->flights);
    px_agreements_free(px);
    osp_table_fini(&px->agreements);
    osp_exchange_free(&px->transports);
    osp_ledger_fini(&px->ledger);
    osp_shares_free(px->own_shares);
    osp_crypto_free(px->crypto);
    osp_policy_unref(px->policy);
    osp_addrview_fini(&px->addresses);
    drop_scratch(px);
    osp_pool_fini(&px->pool);
    free(px);
}

void
osp_proxy_set_policy(struct osp_proxy *px, struct osp_policy *p)
{
    osp_policy_ref(p);
    osp_policy_unref(px->policy);
    px->policy = p;
}

struct osp_pool *
osp_proxy_pool(struct osp_proxy *px)
{
    return &px->pool;
}

struct osp_ledger *
osp_proxy_ledger(struct osp_proxy *px)
{
    return &px->ledger;
}

enum osp_err
osp_proxy_add_transport(struct osp_proxy *px, enum osp_transport_id id, struct osp_transport *t)
{
    px->transports.by[id] = t;
    return make_scratch(px, t->ops->longest(t));
}

/* ---- events of the transports ---- */

/*
 * Nothing can be kept for it, or the stop has begun: an answer in the clear that leaves no state.  Its layers are not touched,
 * so the client may send the same protected request again.
 */
static void
refuse(struct osp_proxy *px, const struct osp_event *ev, struct osp_time now)
{
    struct osp_msg     resp;
    uint8_t            age[4];
    struct osp_respond how = { 0 };

    px->stats.errors[OSP_E_OVERLOAD]++;
    osp_msg_init(&resp, osp_err_code(OSP_E_OVERLOAD));
    if (osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(OSP_RETRY_AFTER_S, age)) != OSP_OK ||
        osp_exchange_respond(&px->transports, ev->handle, &resp, how, now) != OSP_OK)
        osp_exchange_dismiss(&px->transports, ev->handle, false, now);
}

static void
on_request(struct osp_proxy *px, const struct osp_event *ev, struct osp_time now)
{
    struct px_exchange *x;
    struct px_turn      t = px_turn_begin(px, now);

    px->stats.requests++;
    if (!px->policy) {
        osp_exchange_dismiss(&px->transports, ev->handle, true, now);
        return;
    }
    x = px->draining ? NULL : px_exchange_new(px, ev);
    if (x)
        px_dispatch(&t, x, ev->msg);
    else
        refuse(px, ev, now);
}

/* An answer to its registration has come: what fails is about a notification. */
static bool
has_news(const struct px_exchange *x)
{
    return x->subject ? x->subject->order.any : x->obs && x->obs->answered;
}

static void
on_event(struct osp_proxy *px, const struct osp_event *ev, struct osp_time now)
{
    struct px_exchange *x = (struct px_exchange *)(uintptr_t)ev->user;
    struct px_turn      t;

    if (!x && (ev->kind == OSP_EV_RESPONSE || ev->kind == OSP_EV_FAILED))
        return;                 /* to a deregistration: nobody waits for it */
    switch (ev->kind) {
    case OSP_EV_REQUEST:
        on_request(px, ev, now);
        break;
    case OSP_EV_RESPONSE:
        t = px_turn_begin(px, now);
        t.came = (struct px_came){ ev->confirmable, ev->is_answer };
        px_response(&t, x, ev->handle, ev->msg);
        break;
    case OSP_EV_FAILED:
        t = px_turn_begin(px, now);
        if (has_news(x) && px_transfer_failed(x, ev->handle)) {
            px->stats.errors[ev->err]++;
            break;
        }
        if (x->out == ev->handle)
            x->out = 0;
        px_fail_upstream(&t, x, ev->err);
        break;
    case OSP_EV_REJECTED:       /* the client did not want the notification, or is gone [rfc7641#3.6] */
        x = px_exchange_find(px, ev->handle);
        if (x)
            px_exchange_end(px, x);
        break;
    case OSP_EV_DELIVERED:
        x = px_exchange_find(px, ev->handle);
        if (x)
            px_observe_delivered(x->obs, now);
        break;                  /* it proves no address: who guesses Message IDs acknowledges, too */
    case OSP_EV_NONE:
        break;
    }
    px_send_what_is_due(px, now);
}

void
osp_proxy_event(struct osp_proxy *px, const struct osp_event *ev, struct osp_time now)
{
    on_event(px, ev, now);
    if (!osp_list_empty(&px->running))
        (void)px_notify(px, now);
}

/* False: call again. */
static bool
give_up_waiting(struct osp_proxy *px, struct osp_time now)
{
    for (int i = 0; i < EXPIRE_PER_CALL; i++) {
        struct osp_timer *due;
        struct px_turn    t = px_turn_begin(px, now);

        if (!osp_exchange_has_room(&px->transports, 2))
            return false;
        due = osp_wheel_pop(&px->patience, now);
        if (!due)
            return true;
        px_give_up(&t, OSP_CONTAINER(due, struct px_exchange, patience));
        px_send_what_is_due(px, now);
    }
    return false;
}

bool
osp_proxy_expire(struct osp_proxy *px, struct osp_time now)
{
    struct osp_event ev;

    if (px_bodies_expire(px, now) || !px_go_on(px, now) || !give_up_waiting(px, now))
        return true;
    for (int i = 0; i < EXPIRE_PER_CALL; i++) {
        if (!osp_exchange_has_room(&px->transports, 2))
            return true;
        if (px_renew_next(px, now)) {
            px_send_what_is_due(px, now);
            continue;
        }
        if (!osp_exchange_expire(&px->transports, now, &ev))
            return !px_go_on(px, now) || !px_notify(px, now);     /* news last: there may be no end to it */
        on_event(px, &ev, now);
    }
    return true;
}

bool
osp_proxy_deadline(const struct osp_proxy *px, struct osp_time *out)
{
    const struct osp_wheel *wheels[] = { &px->patience, &px->renewals };
    struct osp_time         due;
    bool                    has;

    if (!osp_list_empty(&px->ready) || !osp_list_empty(&px->running)) {
        out->us = 0;            /* at once */
        return true;
    }
    has = osp_exchange_deadline(&px->transports, out);
    for (size_t i = 0; i < 2; i++) {
        if (osp_wheel_deadline(wheels[i], &due) && (!has || due.us < out->us)) {
            *out = due;
            has = true;
        }
    }
    return px_bodies_deadline(px, has, out);
}

/* ---- asks ---- */

bool
osp_proxy_next_ask(struct osp_proxy *px, struct osp_ask *ask)
{
    return px_next_ask(px, ask) || px_name_next_ask(px, ask);
}

void
osp_proxy_resolved(struct osp_proxy *px, const char *host, enum osp_err err, const struct osp_ip *ips, size_t count,
                   uint64_t ttl_us, struct osp_time now)
{
    if (px_name_resolved(px, host, err, ips, count, ttl_us, now))
        (void)(px_go_on(px, now) && px_notify(px, now));
}

void
osp_proxy_leased(struct osp_proxy *px, struct osp_octx *ctx, struct osp_time now)
{
    px_count_use_during_lease(px, ctx);
    px_lease_is_over(px, ctx);
    (void)(px_go_on(px, now) && px_notify(px, now));
}

void
osp_proxy_drain(struct osp_proxy *px, struct osp_time now)
{
    struct osp_list *n = px->exchanges.next, *next;

    px->draining = true;
    px->aborting = true;        /* an observer without a number left is not told, rather than waited for */
    for (; n != &px->exchanges; n = next) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, link);
        struct px_turn      t = px_turn_begin(px, now);

        next = n->next;
        if (x->obs)
            px_answer_error(&t, x, OSP_E_OVERLOAD);
    }
    px->aborting = false;
}

void
osp_proxy_abort_all(struct osp_proxy *px, struct osp_time now)
{
    struct osp_list *n;

    px->aborting = true;
    while ((n = osp_list_first(&px->exchanges)) != NULL) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, link);
        struct px_turn      t = px_turn_begin(px, now);

        x->kind->failed(&t, x, OSP_E_OVERLOAD);
    }
    px_subjects_free(px);
    px->aborting = false;
}

/* ---- what it did ---- */

void
osp_proxy_stats(const struct osp_proxy *px, struct osp_proxy_stats *out)
{
    *out = px->stats;
    memcpy(out->used, px->ledger.used, sizeof(out->used));
    out->observations = px->obs_handles.count;
    out->subjects = px->subjects.count;
    out->pool_used = px->pool.used;
    out->pool_limit = px->pool.limit;
}

bool
osp_proxy_idle(const struct osp_proxy *px)
{
    return osp_list_empty(&px->exchanges);
}
