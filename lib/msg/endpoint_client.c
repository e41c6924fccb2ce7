/* SPDX-License-Identifier: BSD-2-Clause */
/* The client role: requests of ours to upstream peers, and the responses to them. */
#include "msg/endpoint_impl.h"

/* ---- finding and freeing ---- */

static uint64_t
hash_token(const struct osp_ep *ep, struct osp_slice token)
{
    return osp_hash(&ep->seed, token);
}

/* Finds a request of ours by the Token and the sender of the response [rfc7252#5.3.2]. */
static struct ep_req *
find_by_token(struct osp_ep *ep, const struct osp_flow *from, struct osp_slice token)
{
    if (token.n != EP_TOKEN_INLINE)
        return NULL;
    for (struct osp_node *n = osp_table_first(&ep->tokens, hash_token(ep, token)); n; n = osp_table_next(n)) {
        struct ep_req *r = OSP_CONTAINER(n, struct ep_req, by_token);

        if (osp_slice_eq(token, osp_slice(r->token, sizeof(r->token))) && r->flow.sock == from->sock &&
            osp_addr_eq(&r->flow.peer, &from->peer))
            return r;
    }
    return NULL;
}

static struct ep_req *
find_by_handle(struct osp_ep *ep, uint64_t handle)
{
    struct osp_node *n = handle ? osp_table_first(&ep->requests, handle) : NULL;

    return n ? OSP_CONTAINER(n, struct ep_req, by_handle) : NULL;
}

static void
req_free(struct osp_ep *ep, struct ep_req *r)
{
    ep_wait_stop(ep, &r->out);
    osp_timer_stop(&ep->wheel, &r->out.timer);
    osp_timer_stop(&ep->wheel, &r->deadline);
    ep_bytes_drop(ep, &r->out.bytes);
    ep_share_unqueue(ep, r);
    ep_share_uncount(ep, r);
    ep_share_leave(ep, r);
    osp_table_remove(&ep->tokens, &r->by_token);
    osp_table_remove(&ep->requests, &r->by_handle);
    ep_peer_put(ep, r->peer);
    osp_pool_put(ep->pool, r, sizeof(*r));
}

/* ---- sending ---- */

/* Gives `r` a Token that no request of ours has, or the Token of `old`, whose place `r` takes. */
static void
choose_token(struct osp_ep *ep, struct ep_req *r, const struct ep_req *old)
{
    if (old) {
        r->bound = true;
        r->flow.sock = old->flow.sock;
        (void)osp_slice_copy(osp_slice(old->token, sizeof(old->token)), r->token, sizeof(r->token));
        return;
    }
    do
        osp_randbuf_take(&ep->rand, r->token, sizeof(r->token));
    while (osp_table_first(&ep->tokens, hash_token(ep, osp_slice(r->token, sizeof(r->token)))));
}

static struct ep_req *
req_new(struct osp_ep *ep, const struct osp_addr *peer, const struct osp_ip *local, const struct osp_request *how,
        const struct ep_req *old)
{
    struct ep_req *r;
    struct ep_peer *p;

    if (ep->requests.count - (old != NULL) >= ep->cfg.max_requests)
        return NULL;
    p = ep_peer_get(ep, peer);
    if (!p)
        return NULL;
    r = osp_pool_get(ep->pool, sizeof(*r));
    if (!r) {
        ep_peer_put(ep, p);
        return NULL;
    }
    *r = (struct ep_req){ .peer = p, .user = how->user, .keep = how->keep, .out.is_request = true };
    r->type = how->confirmable ? OSP_CON : OSP_NON;
    r->flow.peer = *peer;
    if (local)
        r->flow.local = *local;
    osp_list_init(&r->queued);
    osp_timer_init(&r->out.timer, EP_T_RESEND_REQUEST);
    osp_timer_init(&r->deadline, EP_T_DEADLINE);
    choose_token(ep, r, old);
    r->handle = ep->next_handle++;
    osp_table_add(&ep->tokens, &r->by_token, hash_token(ep, osp_slice(r->token, sizeof(r->token))));
    osp_table_add(&ep->requests, &r->by_handle, r->handle);
    return r;
}

/* Takes the next Message ID.  False: no socket has a free one, or the socket that the request is bound to has none. */
static bool
take_mid(struct osp_ep *ep, struct ep_req *r, struct osp_time now)
{
    uint16_t sock = r->flow.sock;

    return ep_peer_mid(ep, r->peer, now, &r->flow.sock, &r->out.mid) && (!r->bound || sock == r->flow.sock);
}

/* Encodes `m` with the request's Token; the Message ID is filled in later, when the request is sent. */
static enum osp_err
encode(struct ep_req *r, const struct osp_msg *m, uint16_t mid, struct osp_wr *w)
{
    struct osp_msg out;

    osp_msg_copy(&out, m);
    out.type = r->type;
    out.mid = mid;
    out.token = osp_slice(r->token, sizeof(r->token));
    return osp_msg_encode_udp(&out, w);
}

static enum osp_err
send_now(struct osp_ep *ep, struct ep_req *r, const struct osp_msg *m, struct osp_time now, struct osp_txq *tx)
{
    struct osp_wr w = osp_txq_begin(tx, ep->cfg.max_datagram);
    enum osp_err  e;

    if (!take_mid(ep, r, now))
        return OSP_E_OVERLOAD;
    e = encode(r, m, r->out.mid, &w);
    if (e != OSP_OK)
        return e;
    if (r->type == OSP_CON) {
        if (!ep_bytes_keep(ep, &r->out.bytes, osp_wr_slice(&w)))
            return OSP_E_NOMEM;
        ep_share_count(r);
        ep_wait_start(ep, &r->out, &r->flow, now);
    } else {
        ep_wait_watch(ep, &r->out, &r->flow);
    }
    osp_txq_commit(tx, &w, &r->flow);
    return OSP_OK;
}

static enum osp_err
queue(struct osp_ep *ep, struct ep_req *r, const struct osp_msg *m, struct osp_txq *tx)
{
    struct osp_wr w = osp_txq_begin(tx, ep->cfg.max_datagram);  /* used as scratch, nothing is committed */
    enum osp_err  e = encode(r, m, 0, &w);

    if (e != OSP_OK)
        return e;
    if (!ep_bytes_keep(ep, &r->out.bytes, osp_wr_slice(&w)))
        return OSP_E_NOMEM;
    return ep_share_queue(ep, r) ? OSP_OK : OSP_E_OVERLOAD;
}

void
ep_client_start(struct osp_ep *ep, struct ep_req *r, struct osp_time now, struct osp_txq *tx, struct osp_event *ev)
{
    struct osp_wr mid;

    if (!take_mid(ep, r, now)) {
        ep_client_failed(ep, r, OSP_E_OVERLOAD, ev);
        return;
    }
    mid = osp_wr_to(r->out.bytes.p, r->out.bytes.n);
    (void)osp_wr_reserve(&mid, 2);
    osp_wr_u16(&mid, r->out.mid);
    osp_timer_init(&r->out.timer, EP_T_RESEND_REQUEST);
    ep_wait_start(ep, &r->out, &r->flow, now);
    osp_txq_put(tx, osp_slice(r->out.bytes.p, r->out.bytes.n), &r->flow);
}

/* [rfc7641#2] */
static bool
deregisters(const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_OBSERVE);
    uint32_t              v;

    return o && osp_opt_uint(o->val, &v) && v == 1;
}

enum osp_err
osp_ep_request(struct osp_ep *ep, const struct osp_addr *peer, const struct osp_ip *local, const struct osp_msg *m,
               const struct osp_request *how, struct osp_time now, struct osp_txq *tx, uint64_t *handle)
{
    struct ep_req *old = find_by_handle(ep, how->instead_of), *r;
    enum osp_err   e;

    if (how->instead_of && (!old || !osp_addr_eq(&old->flow.peer, peer)))
        return OSP_E_INVALID;
    r = req_new(ep, peer, local, how, old);
    if (!r)
        return OSP_E_OVERLOAD;
    r->ends = r->bound && deregisters(m);
    /* [rfc7252#4.7] */
    if (r->type == OSP_CON && !ep_share_join(ep, r, how->client))
        e = OSP_E_NOMEM;
    else if (r->type == OSP_CON && !ep_share_may_start(ep, r->share))
        e = queue(ep, r, m, tx);
    else
        e = send_now(ep, r, m, now, tx);
    if (e != OSP_OK) {
        req_free(ep, r);
        return e;
    }
    osp_timer_set(&ep->wheel, &r->deadline, how->deadline);
    *handle = r->handle;
    if (old)
        req_free(ep, old);
    return OSP_OK;
}

void
osp_ep_cancel(struct osp_ep *ep, uint64_t handle)
{
    struct ep_req *r = find_by_handle(ep, handle);

    if (r)
        req_free(ep, r);
}

/* ---- responses ---- */

/* Handles an empty ACK: the request arrived, and the response will be a separate message. */
void
ep_client_acked(struct osp_ep *ep, struct ep_req *r)
{
    if (r->type != OSP_CON) {   /* nobody acknowledges a NON */
        ep_drop(ep, OSP_E_UNMATCHED);
        return;
    }
    ep_wait_stop(ep, &r->out);
    ep_share_uncount(ep, r);
}

void
ep_client_failed(struct osp_ep *ep, struct ep_req *r, enum osp_err why, struct osp_event *ev)
{
    if (why == OSP_E_TIMEOUT)
        ep->stats.timeouts++;
    ev->kind = OSP_EV_FAILED;
    ev->err = why;
    ev->handle = r->handle;
    ev->user = r->user;
    ev->flow = r->flow;
    req_free(ep, r);
}

/* Acknowledges a CON response and remembers it, so that a duplicate is acknowledged but not delivered again. */
static void
confirm(struct osp_ep *ep, const struct osp_flow *from, bool remember, struct osp_time now, struct osp_txq *tx)
{
    bool           con = ep->msg.type == OSP_CON;
    struct ep_seen like = { .node.hash = ep->key.half[0], .key_rest = ep->key.half[1] };

    like.ends = ep_end_after(now, con ? ep->cfg.exchange_lifetime_us : ep->cfg.non_lifetime_us);
    if (remember && ep->messages.count >= ep->cfg.max_messages && !ep_seen_evict(ep))
        remember = false;
    if (remember && !ep_seen_keep(ep, &like, con, OSP_EMPTY))
        ep->stats.dedup_evicted++;
    if (con)
        ep_send_empty(ep, from, OSP_ACK, ep->msg.mid, tx);
}

void
ep_client_response(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx,
                   struct osp_event *ev)
{
    struct osp_msg *m = &ep->msg;
    struct ep_req  *r = find_by_token(ep, from, m->token);

    if (!r) {
        ep_drop(ep, OSP_E_UNMATCHED);
        /* [rfc7252#4.2]; a notification that nobody waits for is rejected too, to end the observation [rfc7641#3.6] */
        if (m->type == OSP_CON || (m->type == OSP_NON && osp_msg_has(m, OSP_OPT_OBSERVE)))
            ep_send_empty(ep, from, OSP_RST, m->mid, tx);
        return;
    }
    if (m->type != OSP_ACK)
        confirm(ep, from, m->type == OSP_CON || r->keep, now, tx);
    ep->stats.rx_response++;
    if (r->ends && m->type != OSP_ACK && osp_msg_has(m, OSP_OPT_OBSERVE))
        return;                 /* the notification was sent before our deregistration arrived */
    if (!r->bound || m->type == OSP_ACK || !osp_msg_has(m, OSP_OPT_OBSERVE)) {
        ep_wait_stop(ep, &r->out);                      /* the response acknowledges the request too */
        ep_share_uncount(ep, r);
    }
    ev->kind = OSP_EV_RESPONSE;
    ev->handle = r->handle;
    ev->user = r->user;
    ev->flow = *from;
    ev->confirmable = m->type == OSP_CON;
    ev->is_answer = m->type == OSP_ACK;
    ev->msg = m;
    if (r->keep)
        osp_timer_stop(&ep->wheel, &r->deadline);
    else
        req_free(ep, r);
}
