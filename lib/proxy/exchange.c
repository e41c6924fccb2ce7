/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and ending exchanges: all that one owns is taken and given back here. */
#include "proxy/impl.h"

struct px_turn
px_turn_begin(struct osp_proxy *px, struct osp_time now, struct osp_txq *tx)
{
    struct px_turn t = { px, now, tx, osp_wr_to(px->scratch, px->scratch_cap) };
    return t;
}

/* NULL at the bound. */
struct px_exchange *
px_exchange_new(struct osp_proxy *px, const struct osp_ep_event *ev)
{
    struct px_exchange *x;

    if (px->stats.exchanges >= px->cfg.max_exchanges)
        return NULL;
    x = osp_pool_get(&px->pool, sizeof(*x));
    if (!x)
        return NULL;
    *x = (struct px_exchange){ .policy = px->policy, .in = ev->handle, .from = ev->flow, .type = ev->msg->type };
    osp_policy_ref(px->policy);
    osp_list_init(&x->wait);
    osp_timer_init(&x->patience, 0);
    osp_list_push(&px->exchanges, &x->link);
    px->stats.exchanges++;
    return x;
}

void
px_exchange_end(struct osp_proxy *px, struct px_exchange *x)
{
    if (x->obs)
        px_observe_end(px, x);
    if (x->out)
        osp_ep_cancel(px->ep, x->out);
    if (x->state != PX_RUNNING)
        px->stats.parked--;
    osp_list_remove(&x->wait);
    osp_timer_stop(&px->patience, &x->patience);
    osp_list_remove(&x->link);
    px_unsave(px, x);
    osp_pool_put(&px->pool, (uint8_t *)(uintptr_t)x->key.bytes.p, x->key.bytes.n);
    if (x->has_added)
        osp_layer_fini(&x->added);
    for (size_t i = 0; i < x->removed_count; i++)
        osp_layer_fini(&x->removed[i]);
    osp_policy_unref(x->policy);
    osp_pool_put(&px->pool, x, sizeof(*x));
    px->stats.exchanges--;
}

/* Keeps a copy of `req`; one that is there already stays. False when there is no memory. */
bool
px_save(struct osp_proxy *px, struct px_exchange *x, const struct osp_msg *req)
{
    size_t        n = osp_msg_size_udp(req);
    uint8_t      *p;
    struct osp_wr w;

    if (x->saved.p)
        return true;
    p = osp_pool_get(&px->pool, n);
    if (!p)
        return false;
    w = osp_wr_to(p, n);
    if (osp_msg_encode_udp(req, &w) != OSP_OK) {
        osp_pool_put(&px->pool, p, n);
        return false;
    }
    x->saved = (struct px_saved){ p, (uint32_t)n };
    return true;
}

/* The saved request again; borrows from the exchange. */
bool
px_restore(struct px_exchange *x, struct osp_msg *req)
{
    bool header_ok;

    return x->saved.p && osp_msg_decode_udp(osp_slice(x->saved.p, x->saved.n), req, &header_ok) == OSP_OK;
}

void
px_unsave(struct osp_proxy *px, struct px_exchange *x)
{
    osp_pool_put(&px->pool, x->saved.p, x->saved.n);
    x->saved = (struct px_saved){ 0 };
}
