/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Observations through the proxy [rfc7641], one upstream for each of a client's.
 *
 * A registration is forwarded as it is, and its exchange stays open: every notification of the next hop is relayed
 * under the client's layers, each after the first with a Partial IV of our own [ocp#2.5.1].  Registrations under an
 * OSCORE layer that is not ours are never merged and never made here [rfc8613#4.1.3.5] [rfc8613#10].
 *
 * It ends when the client says so (Observe 1, or the same Token in another request, or a Reset, or a confirmable
 * notification that is never acknowledged) or when the next hop does (an answer without Observe, or not 2.xx).  Upstream
 * it is then forgotten, and the next notification that still comes is answered with a Reset.
 */
#include "proxy/impl.h"

#define REGISTER 0
#define DEREGISTER 1
#define CONFIRM_EVERY_US OSP_SEC(24 * 3600)     /* [rfc7641#4.5] at least once in 24 hours */
#define NEWER_AFTER_US OSP_SEC(128)             /* [rfc7641#3.4] */
#define HALF_OF_24_BITS 0x800000u

static uint64_t
client_hash(const struct osp_proxy *px, const struct osp_flow *from, struct osp_slice token)
{
    uint8_t          key[sizeof(struct osp_addr) + 2 + 64];
    struct osp_wr    w = osp_wr_to(key, sizeof(key));

    osp_wr_put(&w, osp_slice(&from->peer, sizeof(from->peer)));
    osp_wr_u16(&w, from->sock);
    osp_wr_put(&w, osp_slice_head(token, 64));
    return osp_hash(&px->seed, osp_wr_slice(&w));
}

void
px_observe_unhold(struct osp_proxy *px, struct px_observation *o)
{
    osp_pool_put(&px->pool, o->held.p, o->held.n);
    o->held = (struct px_saved){ 0 };
}

/* Without memory this notification is lost; the next brings the newer state anyway [rfc7641#1.3]. */
void
px_observe_hold(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, struct osp_octx *ctx)
{
    struct osp_msg m;
    size_t         n;
    uint8_t       *p;
    struct osp_wr  w;

    osp_msg_copy(&m, resp);
    m.token = OSP_EMPTY;
    n = osp_msg_size_udp(&m);
    p = osp_pool_get(&t->px->pool, n);
    w = osp_wr_to(p, p ? n : 0);
    x->notify = false;
    if (!p || osp_msg_encode_udp(&m, &w) != OSP_OK) {
        osp_pool_put(&t->px->pool, p, n);
        t->px->stats.errors[OSP_E_NO_LEASE]++;
        return;
    }
    px_observe_unhold(t->px, x->obs);   /* after the copy: `resp` may be what was held */
    x->obs->held = (struct px_saved){ p, (uint32_t)n };
    px_park(t, x, NULL, ctx, PX_WAIT_LEASE_NOTIFY);
}

void
px_observe_release(struct px_turn *t, struct px_exchange *x, bool leased)
{
    struct px_observation *o = x->obs;
    bool                   header;

    if (!leased)
        t->px->stats.errors[OSP_E_NO_LEASE]++;
    if (!leased || !o->held.p || osp_msg_decode_udp(osp_slice(o->held.p, o->held.n), &t->px->a, &header) != OSP_OK) {
        px_observe_unhold(t->px, o);
        return;
    }
    x->notify = true;           /* what is held is freed when it was sent, or held again */
    px_answer(t, x, &t->px->a);
}

void
px_observe_end(struct osp_proxy *px, struct px_exchange *x)
{
    osp_table_remove(&px->obs_clients, &x->obs->by_client);
    osp_table_remove(&px->obs_handles, &x->obs->by_handle);
    px_observe_unhold(px, x->obs);
    osp_pool_put(&px->pool, x->obs, sizeof(*x->obs));
    x->obs = NULL;
}

struct px_exchange *
px_observe_find(struct osp_proxy *px, uint64_t handle)
{
    struct osp_node *n = osp_table_first(&px->obs_handles, handle);

    return n ? OSP_CONTAINER(n, struct px_observation, by_handle)->x : NULL;
}

/* The client's own observation under this Token, if there is one, is over [rfc7641#3.6]. */
static void
end_of_client(struct px_turn *t, uint64_t hash)
{
    struct osp_node *n = osp_table_first(&t->px->obs_clients, hash);

    if (n)
        px_drop(t, OSP_CONTAINER(n, struct px_observation, by_client)->x, OSP_OK);
}

/* At the bound a registration is a plain request: a legal answer to it [rfc7641#4.1]. */
static bool
begin(struct px_turn *t, struct px_exchange *x, uint64_t hash)
{
    struct osp_proxy      *px = t->px;
    struct px_observation *o;

    if (px->obs_handles.count >= px->cfg.max_exchanges / 2)
        return false;
    o = osp_pool_get(&px->pool, sizeof(*o));
    if (!o)
        return false;
    *o = (struct px_observation){ .x = x, .confirmed_us = t->now.us };
    osp_table_add(&px->obs_clients, &o->by_client, hash);
    osp_table_add(&px->obs_handles, &o->by_handle, x->in);
    x->obs = o;
    for (size_t i = 0; i < x->removed_count; i++)       /* the second notification will need a number */
        px_used(px, x->removed[i].ctx);
    return true;
}

void
px_observe_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, struct osp_slice token)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_OBSERVE);
    uint64_t              hash;
    uint32_t              v = DEREGISTER + 1;

    if (!o)
        return;
    hash = client_hash(t->px, &x->from, token);
    (void)osp_opt_uint(o->val, &v);
    if (v == REGISTER || v == DEREGISTER)
        end_of_client(t, hash);
    if (v == DEREGISTER)                /* goes on: under an end-to-end layer only the origin can end it */
        return;
    if (v != REGISTER || (req->code != OSP_GET && req->code != OSP_FETCH) || !begin(t, x, hash))
        osp_msg_remove(req, OSP_OPT_OBSERVE);
}

/* [rfc7641#3.4] */
static bool
is_newer(const struct px_observation *o, uint32_t v, struct osp_time now)
{
    if (!o->established || now.us > o->last_us + NEWER_AFTER_US)
        return true;
    return (o->last < v && v - o->last < HALF_OF_24_BITS) || (o->last > v && o->last - v > HALF_OF_24_BITS);
}

/*
 * Under a layer of ours Partial IVs have put the notification in order already, and the Observe option outside is to be
 * ignored [rfc8613#4.1.3.5.2]: the client gets a count of ours.
 */
static bool
number(struct px_turn *t, const struct px_observation *o, struct osp_msg *resp, uint32_t *v)
{
    uint8_t *value = osp_wr_reserve(&t->scratch, 4);

    *v = o->established ? (o->last + 1) & 0xffffff : 0;
    osp_msg_remove(resp, OSP_OPT_OBSERVE);
    return value && osp_msg_add(resp, OSP_OPT_OBSERVE, osp_opt_uint_make(*v, value)) == OSP_OK;
}

bool
px_observe_response(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp, uint8_t type)
{
    struct px_observation *o = x->obs;
    const struct osp_opt  *opt = osp_msg_get(resp, OSP_OPT_OBSERVE);
    uint32_t               v = 0;

    if (!opt || OSP_CODE_CLASS(resp->code) != 2) {      /* [rfc7641#4.2] the last answer */
        x->notify = false;
        x->notify_con = type == OSP_CON;
        return true;
    }
    if (x->has_added ? !number(t, o, resp, &v) : !osp_opt_uint(opt->val, &v) || !is_newer(o, v & 0xffffff, t->now))
        return false;
    o->last = v & 0xffffff;
    o->last_us = t->now.us;
    x->notify = true;
    x->notify_con = o->established && (type == OSP_CON || t->now.us - o->confirmed_us >= CONFIRM_EVERY_US);
    if (x->notify_con || !o->established)
        o->confirmed_us = t->now.us;
    o->established = true;
    t->px->stats.notifications++;
    return true;
}
