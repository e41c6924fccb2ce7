/* SPDX-License-Identifier: BSD-2-Clause */
/* The server role: received requests and our responses to them, as long as something is still to be sent. */
#include "msg/endpoint_impl.h"

/* ---- requests that are open ---- */

static void
drop_handle(struct osp_ep *ep, struct ep_in *in)
{
    if (in->handle) {
        osp_table_remove(&ep->handles, &in->by_handle);
        in->handle = 0;
    }
}

static bool
has_aged(const struct ep_in *in)
{
    return osp_list_empty(&in->age);
}

static void
leave_table(struct osp_ep *ep, struct ep_in *in)
{
    if (!has_aged(in)) {
        osp_table_remove(&ep->messages, &in->seen.node);
        osp_list_remove(&in->age);
    }
}

void
ep_in_free(struct osp_ep *ep, struct ep_in *in)
{
    drop_handle(ep, in);
    ep_wait_stop(ep, &in->out);
    osp_timer_stop(&ep->wheel, &in->out.timer);
    leave_table(ep, in);
    ep_bytes_drop(ep, &in->reply);
    ep_bytes_drop(ep, &in->next);
    if (in->token_len > EP_TOKEN_INLINE)
        osp_pool_put(ep->pool, in->token.out, in->token_len);
    osp_pool_put(ep->pool, in, sizeof(*in));
}

/* Replaces `in` by a record in the store.  False: there is no memory for a record. */
static bool
remember(struct osp_ep *ep, struct ep_in *in, struct osp_slice reply)
{
    if (has_aged(in))
        return true;
    if (!ep_seen_keep(ep, &in->seen, in->type == OSP_CON, reply))
        return false;
    leave_table(ep, in);
    return true;
}

void
ep_in_finish(struct osp_ep *ep, struct ep_in *in)
{
    drop_handle(ep, in);
    in->state = EP_ANSWERED;
    if (in->out.waiting)        /* `in` stays until the response is acknowledged or given up */
        return;
    if (!remember(ep, in, osp_slice(in->reply.p, in->reply.n)))
        ep->stats.dedup_evicted++;
    ep_in_free(ep, in);
}

/* Makes room for one more message by forgetting the oldest finished one.  Requests open beyond their lifetime count by handle. */
static bool
make_room(struct osp_ep *ep)
{
    if (ep->handles.count >= ep->cfg.max_messages)
        return false;
    return ep->messages.count < ep->cfg.max_messages || ep_seen_evict(ep);
}

static uint8_t *
token_of(struct ep_in *in)
{
    return in->token_len > EP_TOKEN_INLINE ? in->token.out : in->token.in;
}

/* A Token has 65,804 bytes at most, but max_token is far below that. */
static bool
keep_token(struct osp_ep *ep, struct ep_in *in, struct osp_slice token)
{
    if (token.n > UINT16_MAX)
        return false;
    in->token_len = (uint16_t)token.n;
    if (token.n > EP_TOKEN_INLINE)
        in->token.out = osp_pool_get(ep->pool, token.n);
    return token_of(in) && osp_slice_copy(token, token_of(in), token.n);
}

/* Makes an ep_in for the message in ep->msg.  NULL: the bound is reached, or there is no memory. */
static struct ep_in *
in_new(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now)
{
    const struct osp_msg *m = &ep->msg;
    bool                  con = m->type == OSP_CON;
    struct ep_in         *in;

    if (!make_room(ep))
        return NULL;
    in = osp_pool_get(ep->pool, sizeof(*in));
    if (!in)
        return NULL;
    *in = (struct ep_in){ .flow = *from, .mid = m->mid, .type = m->type };
    if (!keep_token(ep, in, m->token)) {
        osp_pool_put(ep->pool, in, sizeof(*in));
        return NULL;
    }
    osp_list_init(&in->age);
    osp_timer_init(&in->out.timer, EP_T_EARLY_ACK);
    in->seen.reply_len = EP_IS_OPEN;
    in->seen.key_rest = ep->key.half[1];
    in->seen.ends = ep_end_after(now, con ? ep->cfg.exchange_lifetime_us : ep->cfg.non_lifetime_us);
    osp_table_add(&ep->messages, &in->seen.node, ep->key.half[0]);
    osp_list_push(&ep->open[con], &in->age);
    ep_forget_at(ep, in->seen.ends);
    return in;
}

/* ---- requests ---- */

/* Answers a request that cannot be taken in, without keeping state.  A duplicate is answered anew. */
static void
answer_stateless(struct osp_ep *ep, const struct osp_flow *to, uint8_t code, struct osp_txq *tx)
{
    struct osp_msg resp;
    uint8_t        age[4];
    struct osp_wr  w = osp_txq_begin(tx, ep->cfg.max_datagram);

    if (ep->msg.type != OSP_CON)
        return;
    osp_msg_init(&resp, code);
    resp.type = OSP_ACK;
    resp.mid = ep->msg.mid;
    resp.token = ep->msg.token;
    if (code == OSP_CODE(5, 3) && osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(OSP_RETRY_AFTER_S, age)) != OSP_OK)
        return;
    if (osp_msg_encode_udp(&resp, &w) == OSP_OK)
        osp_txq_commit(tx, &w, to);
}

void
ep_server_request(struct osp_ep *ep, const struct osp_flow *from, struct osp_time now, struct osp_txq *tx,
                  struct osp_event *ev)
{
    struct ep_in *in;

    if (ep->msg.token.n > ep->cfg.max_token) {          /* [rfc8974#2.2.2] */
        ep_drop(ep, OSP_E_TOKEN_LENGTH);
        answer_stateless(ep, from, OSP_CODE(4, 0), tx);
        return;
    }
    in = in_new(ep, from, now);
    if (!in) {
        ep_drop(ep, OSP_E_OVERLOAD);
        answer_stateless(ep, from, OSP_CODE(5, 3), tx);
        return;
    }
    in->seen.length = (uint16_t)ev->length;
    in->handle = ep->next_handle++;
    osp_table_add(&ep->handles, &in->by_handle, in->handle);
    if (in->type == OSP_CON)
        osp_timer_set(&ep->wheel, &in->out.timer, osp_time_after(now, ep->cfg.early_ack_us));
    ep->stats.rx_request++;
    ev->kind = OSP_EV_REQUEST;
    ev->handle = in->handle;
    ev->flow = *from;
    ev->confirmable = in->type == OSP_CON;
    ev->msg = &ep->msg;
}

/* [rfc7252#4.5] sends the stored bytes once more; a NON is not answered twice */
void
ep_server_duplicate(struct osp_ep *ep, struct ep_in *in, struct osp_txq *tx)
{
    if (in->type != OSP_CON)
        return;
    if (in->reply.n)
        osp_txq_put(tx, osp_slice(in->reply.p, in->reply.n), &in->flow);
    else if (in->state != EP_NEW)
        ep_send_empty(ep, &in->flow, OSP_ACK, in->mid, tx);
}

/* [rfc7252#5.2.2] the response takes time, so the request is acknowledged now and the response will be separate */
void
ep_server_early_ack(struct osp_ep *ep, struct ep_in *in, struct osp_txq *tx)
{
    if (in->state != EP_NEW)
        return;
    in->state = EP_ACKED;
    ep->stats.early_acks++;
    ep_send_empty(ep, &in->flow, OSP_ACK, in->mid, tx);
}

/* Sends the notification that waited behind the separate response. */
static void
send_next(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx)
{
    ep_wait_stop(ep, &in->out);
    in->out.mid = in->next_mid;
    in->out.bytes = in->next;
    in->next = (struct ep_bytes){ 0 };
    osp_timer_init(&in->out.timer, EP_T_RESEND_RESPONSE);
    ep_wait_start(ep, &in->out, &in->flow, now);
    osp_txq_put(tx, osp_slice(in->out.bytes.p, in->out.bytes.n), &in->flow);
    ep->stats.separate++;
}

void
ep_server_acked(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx, struct osp_event *ev)
{
    ep_wait_stop(ep, &in->out);
    if (in->handle) {
        ev->kind = OSP_EV_DELIVERED;
        ev->handle = in->handle;
        ev->flow = in->flow;
    }
    if (in->next.n)
        send_next(ep, in, now, tx);
    else if (!in->handle)
        ep_in_finish(ep, in);
}

/*
 * Sends the separate response again.  A newer notification that waits is sent instead, and continues with the timeout and the
 * tries of the older one, so that a client that is gone is noticed, however often there is news [rfc7641#4.5.2].
 */
bool
ep_server_again(struct osp_ep *ep, struct ep_in *in, struct osp_time now, struct osp_txq *tx)
{
    struct ep_wait *w = &in->out;
    uint64_t        timeout = w->timeout_us * 2;
    uint8_t         tries = w->tries;

    if (!in->next.n)
        return ep_wait_again(ep, w, now, tx);
    if (tries >= ep->cfg.max_retransmit)
        return false;
    send_next(ep, in, now, tx);
    w->tries = (uint8_t)(tries + 1);
    w->timeout_us = timeout;
    osp_timer_set(&ep->wheel, &w->timer, osp_time_after(now, timeout));
    return true;
}

void
ep_server_failed(struct osp_ep *ep, struct ep_in *in, enum osp_err why, struct osp_event *ev)
{
    if (why == OSP_E_TIMEOUT)
        ep->stats.timeouts++;
    ep_wait_stop(ep, &in->out);
    ep_bytes_drop(ep, &in->next);
    if (in->handle) {
        ev->kind = OSP_EV_REJECTED;
        ev->err = why;
        ev->handle = in->handle;
        ev->flow = in->flow;
    }
    ep_in_finish(ep, in);
}

/* ---- responses ---- */

static struct ep_in *
in_of(const struct osp_ep *ep, uint64_t handle)
{
    struct osp_node *n = handle ? osp_table_first(&ep->handles, handle) : NULL;

    return n ? OSP_CONTAINER(n, struct ep_in, by_handle) : NULL;
}

/* Sends `resp` in the ACK, which duplicates of the request get too [rfc7252#5.2.1].  The last response is stored at once. */
static enum osp_err
respond_piggybacked(struct osp_ep *ep, struct ep_in *in, struct osp_msg *resp, bool last, struct osp_txq *tx)
{
    struct osp_wr w = osp_txq_begin(tx, ep->cfg.max_datagram);
    enum osp_err  e;

    resp->type = OSP_ACK;
    resp->mid = in->mid;
    e = osp_msg_encode_udp(resp, &w);
    if (e != OSP_OK)
        return e;
    if (!(last ? remember(ep, in, osp_wr_slice(&w)) : ep_bytes_keep(ep, &in->reply, osp_wr_slice(&w))))
        return OSP_E_NOMEM;
    osp_txq_commit(tx, &w, &in->flow);
    osp_timer_stop(&ep->wheel, &in->out.timer);
    in->state = EP_ACKED;
    ep->stats.piggybacked++;
    return OSP_OK;
}

/*
 * Sends `resp` in a message of its own [rfc7252#5.2.2] [rfc7252#5.2.3].  While a response is not acknowledged, the next one
 * waits, and replaces an older one that waits.  It is confirmable too, so there is one at a time [rfc7641#4.5.1].
 */
static enum osp_err
respond_separately(struct osp_ep *ep, struct ep_in *in, struct osp_msg *resp, struct osp_account *account, bool con,
                   struct osp_time now, struct osp_txq *tx)
{
    struct osp_wr   w = osp_txq_begin(tx, ep->cfg.max_datagram);
    struct ep_bytes bytes = { 0 };
    bool            behind = in->out.waiting && in->out.bytes.n;
    enum osp_err    e;

    /* a notification or a response that waits is not counted in the account */
    account = behind || in->keep || !con ? NULL : account;
    con = (con && (!account || osp_ledger_take(ep->cfg.ledger, account, OSP_SHARE_SEPARATE))) || behind;
    if (account && !con)
        account = NULL;
    resp->type = con ? OSP_CON : OSP_NON;
    resp->mid = ep_client_mid(ep, &in->flow);
    e = osp_msg_encode_udp(resp, &w);
    if (e == OSP_OK && con && !ep_bytes_keep(ep, &bytes, osp_wr_slice(&w)))
        e = OSP_E_NOMEM;
    if (e != OSP_OK) {
        if (account)
            osp_ledger_give(ep->cfg.ledger, account, OSP_SHARE_SEPARATE);
        return e;
    }
    if (behind) {
        ep_bytes_drop(ep, &in->next);
        in->next = bytes;
        in->next_mid = resp->mid;
        return OSP_OK;
    }
    ep_wait_stop(ep, &in->out);         /* the previous response needed no acknowledgement */
    in->out.mid = resp->mid;
    in->out.bytes = bytes;
    in->out.account = account;
    if (con) {
        osp_timer_init(&in->out.timer, EP_T_RESEND_RESPONSE);
        ep_wait_start(ep, &in->out, &in->flow, now);
    } else if (in->keep) {
        ep_wait_watch(ep, &in->out, &in->flow);         /* a RST ends the observation [rfc7641#3.6] */
    }
    osp_txq_commit(tx, &w, &in->flow);
    ep->stats.separate++;
    return OSP_OK;
}

enum osp_err
osp_ep_respond(struct osp_ep *ep, uint64_t handle, const struct osp_msg *resp, struct osp_respond how, struct osp_time now,
               struct osp_txq *tx)
{
    struct ep_in  *in = in_of(ep, handle);
    struct osp_msg m;
    bool           first, kept;
    enum osp_err   e;

    if (!in)
        return OSP_E_INVALID;
    osp_msg_copy(&m, resp);
    m.token = osp_slice(token_of(in), in->token_len);
    first = !in->answered_once;
    kept = in->keep;
    in->keep = how.keep;
    if (first && in->type == OSP_CON && in->state == EP_NEW)
        e = respond_piggybacked(ep, in, &m, !how.keep, tx);
    else
        e = respond_separately(ep, in, &m, ep->cfg.ledger ? how.account : NULL,
                               !how.never_repeated && (first ? in->type == OSP_CON : how.confirmable), now, tx);
    if (e != OSP_OK) {
        in->keep = kept;        /* a RST may still arrive, until the caller dismisses the request */
        return e;
    }
    in->answered_once = true;
    if (!how.keep)
        ep_in_finish(ep, in);
    return OSP_OK;
}

bool
osp_ep_will_repeat(const struct osp_ep *ep, uint64_t handle)
{
    const struct ep_in *in = in_of(ep, handle);

    return in && in->type == OSP_CON && (in->state != EP_NEW || in->answered_once);
}

void
osp_ep_dismiss(struct osp_ep *ep, uint64_t handle, bool reset, struct osp_time now, struct osp_txq *tx)
{
    struct ep_in *in = in_of(ep, handle);

    (void)now;
    if (!in)
        return;
    if (in->type == OSP_CON && in->state == EP_NEW) {
        uint8_t       bytes[4];
        struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));

        osp_wr_u8(&w, (uint8_t)(0x40 | (reset ? OSP_RST : OSP_ACK) << 4));
        osp_wr_u8(&w, OSP_EMPTY_CODE);
        osp_wr_u16(&w, in->mid);
        (void)ep_bytes_keep(ep, &in->reply, osp_wr_slice(&w));  /* without memory, duplicates get an empty ACK */
        osp_txq_put(tx, osp_wr_slice(&w), &in->flow);
    }
    if (in->keep) {
        ep_wait_stop(ep, &in->out);
        ep_bytes_drop(ep, &in->next);
    }
    ep_in_finish(ep, in);
}
