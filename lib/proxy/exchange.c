/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and ending exchanges: all that one owns is taken and given back here. */
#include "proxy/account.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"

struct px_turn
px_turn_begin(struct osp_proxy *px, struct osp_time now)
{
    struct px_turn t = { .px = px, .now = now, .scratch = osp_wr_to(px->scratch, px->scratch_cap) };

    return t;
}

static struct px_exchange *
make(struct osp_proxy *px, struct osp_policy *policy, const struct px_kind *kind)
{
    struct px_exchange *x;

    if (px->stats.exchanges >= px->cfg.max_exchanges)
        return NULL;
    x = osp_pool_get(&px->pool, sizeof(*x));
    if (!x)
        return NULL;
    *x = (struct px_exchange){ .kind = kind, .policy = policy };
    osp_policy_ref(policy);
    osp_list_init(&x->wait);
    osp_timer_init(&x->patience, 0);
    osp_list_push(&px->exchanges, &x->link);
    px->stats.exchanges++;
    return x;
}

struct px_exchange *
px_exchange_new(struct osp_proxy *px, const struct osp_event *ev)
{
    struct px_exchange *x = make(px, px->policy, &px_client_kind);

    if (x) {
        x->in = ev->handle;
        x->from = ev->flow;
        x->verify.request_len = ev->length;
        x->confirmable = ev->confirmable;
    }
    return x;
}

struct px_exchange *
px_exchange_branch(struct osp_proxy *px, const struct px_exchange *from, const struct px_kind *kind)
{
    struct px_exchange *x = make(px, from->policy, kind);

    if (x) {
        x->from = from->from;
        x->to = from->to;
        x->route = from->route;
        x->rule = from->rule;
        x->hop_ctx = from->hop_ctx;
        x->vouched = from->vouched;
        x->deadline = from->deadline;
        x->confirmable = true;
        if (px_copy_hop(px, x, from) != OSP_OK) {
            px_exchange_end(px, x);
            return NULL;
        }
    }
    return x;
}

/* ---- parts ---- */

void
px_part_attach(struct px_exchange *x, enum px_part part)
{
    x->parts |= (uint8_t)(1u << part);
}

void
px_part_detach(struct px_exchange *x, enum px_part part)
{
    x->parts &= (uint8_t)~(1u << part);
}

void
px_parts_failed(struct px_exchange *x, enum osp_err why)
{
    for (unsigned i = 0; i < PX_PARTS && x->parts >> i; i++)
        if (x->parts >> i & 1 && px_part_hooks[i].failed)
            px_part_hooks[i].failed(x, why);
}

static void
parts_ended(struct osp_proxy *px, struct px_exchange *x)
{
    for (unsigned i = 0; i < PX_PARTS && x->parts >> i; i++)
        if (x->parts >> i & 1)
            px_part_hooks[i].ended(px, x);
    x->parts = 0;
}

/* ---- the end ---- */

void
px_exchange_end(struct osp_proxy *px, struct px_exchange *x)
{
    if (x->kind->ended)
        x->kind->ended(px, x);
    parts_ended(px, x);
    px_current_drop(x);
    if (x->out)
        osp_exchange_cancel(&px->transports, x->out);
    px_park_end(px, x);
    osp_list_remove(&x->link);
    osp_stored_release(&x->saved, &px->pool);
    if (x->edhoc)
        osp_pool_put(&px->pool, x->edhoc, sizeof(*x->edhoc) + x->edhoc->host_len);
    px_account_end(px, x);
    osp_pool_put(&px->pool, (uint8_t *)(uintptr_t)x->cached.key.bytes.p, x->cached.key.bytes.n);
    if (x->has_added)
        osp_layer_fini(&x->added);
    for (size_t i = 0; i < x->removed_count; i++)
        osp_layer_fini(&x->removed[i]);
    osp_policy_unref(x->policy);
    osp_pool_put(&px->pool, x, sizeof(*x));
    px->stats.exchanges--;
}

void
px_drop(struct px_turn *t, struct px_exchange *x, enum osp_err why)
{
    if (why != OSP_OK)
        t->px->stats.errors[why]++;
    osp_exchange_dismiss(&t->px->transports, x->in, false, t->now);
    px_exchange_end(t->px, x);
}

/* ---- the next hop's context ---- */

void
px_current_drop(struct px_exchange *x)
{
    osp_octx_unref(x->current);
    x->current = NULL;
    x->current_is_stale = false;
}

bool
px_is_out_of_use(const struct px_exchange *x)
{
    return x->has_added && osp_octx_is_out_of_use(x->added.ctx);
}

/* ---- what it is found by, and keeps ---- */

struct px_exchange *
px_exchange_find(struct osp_proxy *px, uint64_t handle)
{
    struct osp_node *n = osp_table_first(&px->obs_handles, handle);

    return n ? OSP_CONTAINER(n, struct px_listed, node)->x : NULL;
}

void
px_send_at_once(struct osp_proxy *px, struct px_exchange *x)
{
    osp_list_remove(&x->wait);
    osp_list_push(&px->at_once, &x->wait);
}

bool
px_key_keep(struct osp_proxy *px, struct px_exchange *x, const struct osp_cache_key *key)
{
    uint8_t *block = osp_pool_get(&px->pool, key->bytes.n);

    if (!block)
        return false;
    x->cached.key = osp_cache_key_move(key, block);
    return true;
}

/* Keeps a copy of `req`; one that is there already stays. False when there is no memory. */
bool
px_save(struct osp_proxy *px, struct px_exchange *x, const struct osp_msg *req)
{
    return osp_stored_has(&x->saved) || osp_stored_keep(&x->saved, &px->pool, req);
}

/* The saved request again; borrows from the exchange. */
bool
px_restore(struct px_exchange *x, struct osp_msg *req)
{
    return osp_stored_get(&x->saved, req);
}

enum px_step
px_send_saved(struct px_turn *t, struct px_exchange *x)
{
    t->out = &t->px->a;
    return px_restore(x, t->out) ? PX_SEND : px_fail(t, OSP_E_NOMEM);
}
