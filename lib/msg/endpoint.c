/* SPDX-License-Identifier: BSD-2-Clause */
#include "msg/endpoint.h"

#include <stdlib.h>

#include "msg/endpoint_impl.h"

/*
 * NSTART is 1 by default for a client [rfc7252#4.7], as one constrained node talking to another.  A proxy
 * stands for many clients: with 1, one lost datagram would hold all of them up for 2 to 3 seconds.  16 lets
 * sixteen independent exchanges be under way, each with its own back-off; a constrained origin can be spared
 * by `limits.nstart`.
 */
#define NSTART_DEFAULT 16

void
osp_ep_cfg_default(struct osp_ep_cfg *cfg)
{
    *cfg = (struct osp_ep_cfg){
        .ack_timeout_us = OSP_SEC(2),
        .ack_random_percent = 150,
        .max_retransmit = 4,
        .early_ack_us = OSP_MS(500),
        .exchange_lifetime_us = OSP_SEC(OSP_EXCHANGE_LIFETIME_S),
        .non_lifetime_us = OSP_SEC(OSP_NON_LIFETIME_S),
        .nstart = NSTART_DEFAULT,
        .max_queued = 10000,
        .max_messages = (size_t)1 << 22,
        .max_requests = 65536,
        .max_peers = 4096,
        .max_token = 64,
        .max_datagram = 4096,
        .upstream_socks = 1,
    };
}

static enum osp_err
init_tables(struct osp_ep *ep)
{
    const struct { struct osp_table *t; size_t bound; } all[] = {
        { &ep->messages, ep->cfg.max_messages / 2 },    /* one or two entries per slot when the table is full */
        { &ep->handles, ep->cfg.max_requests },
        { &ep->mids, ep->cfg.max_requests },
        { &ep->tokens, ep->cfg.max_requests },
        { &ep->requests, ep->cfg.max_requests },
        { &ep->peers, ep->cfg.max_peers },
        { &ep->shares, ep->cfg.max_requests },
        { &ep->waiting, ep->cfg.max_queued < ep->cfg.max_requests ? ep->cfg.max_queued : ep->cfg.max_requests },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (osp_table_init(all[i].t, all[i].bound) != OSP_OK)
            return OSP_E_NOMEM;
    return OSP_OK;
}

enum osp_err
osp_ep_new(const struct osp_ep_cfg *cfg, struct osp_rand rand, struct osp_pool *pool, struct osp_time now, struct osp_ep **out)
{
    struct osp_ep *ep = calloc(1, sizeof(*ep));

    if (!ep)
        return OSP_E_NOMEM;
    ep->cfg = *cfg;
    ep->pool = pool;
    ep->next_handle = OSP_HANDLE_FIRST(OSP_TRANSPORT_UDP);
    ep->socks = cfg->upstream_socks;
    osp_randbuf_init(&ep->rand, rand);
    osp_randbuf_take(&ep->rand, (uint8_t *)&ep->seed, sizeof(ep->seed));
    rand.fill(rand.ctx, (uint8_t *)ep->client_mid, sizeof(ep->client_mid));
    rand.fill(rand.ctx, (uint8_t *)ep->peer_mid, sizeof(ep->peer_mid));
    osp_wheel_init(&ep->wheel, now);
    for (int con = 0; con < 2; con++) {
        osp_list_init(&ep->open[con]);
        osp_list_init(&ep->done[con].segments);
    }
    osp_list_init(&ep->peer_lru);
    osp_timer_init(&ep->forget, EP_T_FORGET);
    ep->now = now;
    if (init_tables(ep) != OSP_OK) {
        osp_ep_free(ep);
        return OSP_E_NOMEM;
    }
    osp_pool_set_reclaim(pool, ep_seen_reclaim, ep);
    *out = ep;
    return OSP_OK;
}

/* Frees requests that outlived their lifetime because they were still open. */
static void
free_aged(struct osp_ep *ep)
{
    for (size_t i = 0; ep->handles.slots && i <= ep->handles.mask; i++)
        while (ep->handles.slots[i])
            ep_in_free(ep, OSP_CONTAINER(ep->handles.slots[i], struct ep_in, by_handle));
    for (size_t i = 0; ep->mids.slots && i <= ep->mids.mask; i++)
        while (ep->mids.slots[i])               /* requests are freed already, so this is a response that waits for its ACK */
            ep_in_free(ep, OSP_CONTAINER(OSP_CONTAINER(ep->mids.slots[i], struct ep_wait, node), struct ep_in, out));
}

void
osp_ep_free(struct osp_ep *ep)
{
    struct osp_list *n;

    if (!ep)
        return;
    osp_pool_set_reclaim(ep->pool, NULL, NULL);
    if (ep->requests.slots)
        for (size_t i = 0; i <= ep->requests.mask; i++)
            while (ep->requests.slots[i])
                osp_ep_cancel(ep, OSP_CONTAINER(ep->requests.slots[i], struct ep_req, by_handle)->handle);
    free_aged(ep);
    for (int con = 0; con < 2; con++)
        while ((n = osp_list_first(&ep->open[con])) != NULL)
            ep_in_free(ep, OSP_CONTAINER(n, struct ep_in, age));
    ep_seen_free(ep);
    while ((n = osp_list_first(&ep->peer_lru)) != NULL)
        ep_peer_free(ep, OSP_CONTAINER(n, struct ep_peer, lru));
    osp_table_fini(&ep->messages);
    osp_table_fini(&ep->handles);
    osp_table_fini(&ep->mids);
    osp_table_fini(&ep->tokens);
    osp_table_fini(&ep->requests);
    osp_table_fini(&ep->peers);
    osp_table_fini(&ep->shares);
    osp_table_fini(&ep->waiting);
    free(ep);
}

/* ---- shared helpers ---- */

uint64_t
ep_hash_flow_mid(const struct osp_ep *ep, const struct osp_addr *peer, uint16_t sock, uint16_t mid)
{
    struct osp_hash128 h = osp_hash_begin(&ep->seed);

    osp_hash_piece(&h, osp_slice(&peer->ip, sizeof(peer->ip)));
    osp_hash_word(&h, (uint64_t)peer->port << 48 | (uint64_t)sock << 32 | (uint64_t)mid << 16);
    osp_hash_word(&h, peer->scope);
    return osp_hash_end64(&h);
}

bool
ep_bytes_keep(struct osp_ep *ep, struct ep_bytes *b, struct osp_slice s)
{
    uint8_t *p = osp_pool_get(ep->pool, s.n);

    if (!p)
        return false;
    ep_bytes_drop(ep, b);
    (void)osp_slice_copy(s, p, s.n);
    b->p = p;
    b->n = (uint32_t)s.n;
    return true;
}

void
ep_bytes_drop(struct osp_ep *ep, struct ep_bytes *b)
{
    osp_pool_put(ep->pool, b->p, b->n);
    *b = (struct ep_bytes){ 0 };
}

void
ep_send_empty(struct osp_ep *ep, const struct osp_flow *to, uint8_t type, uint16_t mid, struct osp_txq *tx)
{
    uint8_t       bytes[4];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));

    osp_wr_u8(&w, (uint8_t)(0x40 | type << 4));
    osp_wr_u8(&w, OSP_EMPTY_CODE);
    osp_wr_u16(&w, mid);
    osp_txq_put(tx, osp_wr_slice(&w), to);
    if (type == OSP_RST)
        ep->stats.resets_sent++;
}

void
ep_drop(struct osp_ep *ep, enum osp_err why)
{
    ep->stats.dropped[why]++;
}

/* ---- messages of ours that wait for ACK or RST [rfc7252#4.2] ---- */

const struct osp_flow *
ep_wait_flow(const struct ep_wait *w)
{
    if (w->is_request)
        return &OSP_CONTAINER((struct ep_wait *)(uintptr_t)w, struct ep_req, out)->flow;
    return &OSP_CONTAINER((struct ep_wait *)(uintptr_t)w, struct ep_in, out)->flow;
}

void
ep_wait_start(struct osp_ep *ep, struct ep_wait *w, const struct osp_flow *to, struct osp_time now)
{
    uint64_t most = ep->cfg.ack_timeout_us * ep->cfg.ack_random_percent / 100;

    w->timeout_us = osp_randbuf_between(&ep->rand, ep->cfg.ack_timeout_us, most);
    w->tries = 0;
    w->waiting = true;
    osp_table_add(&ep->mids, &w->node, ep_hash_flow_mid(ep, &to->peer, to->sock, w->mid));
    osp_timer_set(&ep->wheel, &w->timer, osp_time_after(now, w->timeout_us));
}

void
ep_wait_watch(struct osp_ep *ep, struct ep_wait *w, const struct osp_flow *to)
{
    w->waiting = true;
    osp_table_add(&ep->mids, &w->node, ep_hash_flow_mid(ep, &to->peer, to->sock, w->mid));
}

void
ep_wait_stop(struct osp_ep *ep, struct ep_wait *w)
{
    if (!w->waiting)
        return;
    osp_table_remove(&ep->mids, &w->node);
    osp_timer_stop(&ep->wheel, &w->timer);
    ep_bytes_drop(ep, &w->bytes);
    if (w->account)
        osp_ledger_give(ep->cfg.ledger, w->account, OSP_SHARE_SEPARATE);
    w->account = NULL;
    w->waiting = false;
}

struct ep_wait *
ep_wait_find(struct osp_ep *ep, const struct osp_flow *from, uint16_t mid)
{
    uint64_t h = ep_hash_flow_mid(ep, &from->peer, from->sock, mid);

    for (struct osp_node *n = osp_table_first(&ep->mids, h); n; n = osp_table_next(n)) {
        struct ep_wait        *w = OSP_CONTAINER(n, struct ep_wait, node);
        const struct osp_flow *f = ep_wait_flow(w);

        if (w->mid == mid && f->sock == from->sock && osp_addr_eq(&f->peer, &from->peer))
            return w;
    }
    return NULL;
}

bool
ep_wait_again(struct osp_ep *ep, struct ep_wait *w, struct osp_time now, struct osp_txq *tx)
{
    if (w->tries >= ep->cfg.max_retransmit)
        return false;
    w->tries++;
    w->timeout_us *= 2;
    osp_txq_put(tx, osp_slice(w->bytes.p, w->bytes.n), ep_wait_flow(w));
    osp_timer_set(&ep->wheel, &w->timer, osp_time_after(now, w->timeout_us));
    ep->stats.retransmitted++;
    return true;
}

/* ---- input ---- */

/* Handles ACK and RST, which concern a message of ours or nothing [rfc7252#4.2].  An ACK may carry the response. */
static void
input_reply(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx, struct osp_event *ev)
{
    struct osp_msg *m = &ep->msg;
    struct ep_wait *w = ep_wait_find(ep, from, m->mid);
    struct ep_in   *in = w && !w->is_request ? OSP_CONTAINER(w, struct ep_in, out) : NULL;
    struct ep_req  *r = w && w->is_request ? OSP_CONTAINER(w, struct ep_req, out) : NULL;

    if (m->type == OSP_RST && m->code == OSP_EMPTY_CODE)
        ep->stats.resets_received++;
    if (m->type == OSP_ACK && osp_code_is_response(m->code)) {
        /* MID and Token must be the request's, and a NON is not acknowledged [rfc7252#5.3.2] [rfc7252#4.3] */
        if (r && r->type == OSP_CON && osp_slice_eq(m->token, osp_slice(r->token, sizeof(r->token))))
            ep_client_response(ep, from, now, tx, ev);
        else
            ep_drop(ep, OSP_E_UNMATCHED);
    } else if (m->code != OSP_EMPTY_CODE || !w) {
        ep_drop(ep, OSP_E_UNMATCHED);
    } else if (m->type == OSP_ACK) {
        ep->stats.rx_empty++;
        if (r)
            ep_client_acked(ep, r);
        else
            ep_server_acked(ep, in, now, tx, ev);
    } else if (r) {
        ep_client_failed(ep, r, OSP_E_RESET, ev);
    } else {
        ep_server_failed(ep, in, OSP_E_RESET, ev);
    }
}

/* Handles CON and NON: requests and responses, new ones and duplicates. */
static void
input_message(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx, struct osp_event *ev)
{
    struct osp_msg *m = &ep->msg;
    struct ep_seen *seen;

    if (m->code == OSP_EMPTY_CODE) {                    /* ping [rfc7252#4.3] */
        if (m->type == OSP_CON) {
            ep->stats.rx_pong++;
            ep_send_empty(ep, from, OSP_RST, m->mid, tx);
        } else {
            ep_drop(ep, OSP_E_FORMAT);
        }
        return;
    }
    if (!osp_code_is_request(m->code) && !osp_code_is_response(m->code)) {      /* [rfc7252#4.2] reserved classes */
        ep_drop(ep, OSP_E_RESERVED_CODE);
        if (m->type == OSP_CON)
            ep_send_empty(ep, from, OSP_RST, m->mid, tx);
        return;
    }
    ep->key = ep_key_of(ep, from, m);
    seen = ep_seen_find(ep, &ep->key, now);
    if (seen && seen->length && seen->length != ev->length) {
        ep_drop(ep, OSP_E_DUPLICATE_MSG);       /* not a copy, whose answer might be many times as long [rfc9175#2.6] */
    } else if (seen) {
        ep->stats.rx_duplicate++;
        if (seen->reply_len == EP_IS_OPEN)
            ep_server_duplicate(ep, OSP_CONTAINER(seen, struct ep_in, seen), tx);
        else
            ep_seen_duplicate(ep, seen, from, m->mid, tx);
    } else if (osp_code_is_request(m->code)) {
        ep_server_request(ep, from, now, tx, ev);
    } else {
        ep_client_response(ep, from, now, tx, ev);
    }
}

void
osp_ep_input(struct osp_ep *ep, const struct osp_flow *from, struct osp_slice datagram, struct osp_time now, struct osp_txq *tx,
             struct osp_event *ev)
{
    bool         header_ok = false;
    enum osp_err e = osp_msg_decode_udp(datagram, &ep->msg, &header_ok);

    ev->kind = OSP_EV_NONE;
    ev->err = OSP_OK;
    ev->length = (uint32_t)datagram.n;
    ep->stats.rx++;
    ep->now = now;
    if (e != OSP_OK) {
        struct ep_wait *w = header_ok && ep->msg.type == OSP_ACK ? ep_wait_find(ep, from, ep->msg.mid) : NULL;

        ep_drop(ep, e);
        /* an unusable answer ends the request it acknowledges [rfc7252#5.7.1] */
        if (w && w->is_request)
            ep_client_failed(ep, OSP_CONTAINER(w, struct ep_req, out), OSP_E_BAD_RESPONSE, ev);
        else if (header_ok && ep->msg.type == OSP_CON)  /* [rfc7252#4.2] */
            ep_send_empty(ep, from, OSP_RST, ep->msg.mid, tx);
        return;
    }
    if (ep->msg.type == OSP_ACK || ep->msg.type == OSP_RST)
        input_reply(ep, from, now, tx, ev);
    else
        input_message(ep, from, now, tx, ev);
}

/* ---- time ---- */

bool
osp_ep_expire(struct osp_ep *ep, struct osp_time now, struct osp_txq *tx, struct osp_event *ev)
{
    struct osp_timer *t = osp_wheel_pop(&ep->wheel, now);
    struct ep_wait   *w;

    ev->kind = OSP_EV_NONE;
    ev->err = OSP_OK;
    ep->now = now;
    if (!t)
        return false;
    switch ((enum ep_timer_kind)t->kind) {
    case EP_T_FORGET:
        ep_forget(ep, now);
        break;
    case EP_T_EARLY_ACK:
        w = OSP_CONTAINER(t, struct ep_wait, timer);
        ep_server_early_ack(ep, OSP_CONTAINER(w, struct ep_in, out), tx);
        break;
    case EP_T_RESEND_RESPONSE:
        w = OSP_CONTAINER(t, struct ep_wait, timer);
        if (!ep_server_again(ep, OSP_CONTAINER(w, struct ep_in, out), now, tx))
            ep_server_failed(ep, OSP_CONTAINER(w, struct ep_in, out), OSP_E_TIMEOUT, ev);
        break;
    case EP_T_RESEND_REQUEST:
        w = OSP_CONTAINER(t, struct ep_wait, timer);
        if (!ep_wait_again(ep, w, now, tx))
            ep_client_failed(ep, OSP_CONTAINER(w, struct ep_req, out), OSP_E_TIMEOUT, ev);
        break;
    case EP_T_START_REQUEST:
        w = OSP_CONTAINER(t, struct ep_wait, timer);
        ep_client_start(ep, OSP_CONTAINER(w, struct ep_req, out), now, tx, ev);
        break;
    case EP_T_DEADLINE:
        ep_client_failed(ep, OSP_CONTAINER(t, struct ep_req, deadline), OSP_E_TIMEOUT, ev);
        break;
    }
    return true;
}

bool
osp_ep_deadline(const struct osp_ep *ep, struct osp_time *out)
{
    return osp_wheel_deadline(&ep->wheel, out);
}

const struct osp_ep_stats *
osp_ep_stats(const struct osp_ep *ep)
{
    struct osp_ep_stats *s = &((struct osp_ep *)(uintptr_t)ep)->stats;

    s->messages = ep->messages.count;
    s->requests = ep->requests.count;
    s->peers = ep->peers.count;
    s->dedup_span_us = ep_seen_span(ep);
    return s;
}

bool
osp_ep_idle(const struct osp_ep *ep)
{
    return ep->requests.count == 0 && ep->handles.count == 0 && ep->mids.count == 0;
}
