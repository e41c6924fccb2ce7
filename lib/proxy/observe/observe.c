/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Observations that clients hold through the proxy [rfc7641].
 *
 * The exchange of a registration stays open: every notification is sent under the client's layers, each after the first
 * with a Partial IV of our own [ocp#2.5.1].  Where they come from: a subject (subject.c), which several clients share; or,
 * for a registration under an OSCORE layer that is not ours, the next hop's answers to that very registration, which is
 * forwarded as it is and never merged with another nor made here [rfc8613#4.1.3.5] [rfc8613#10]; a deregistration of
 * such a one goes on too, under the Token of the registration.
 *
 * It ends when the client says so (Observe 1, or the same Token in another registration, or a Reset, or a confirmable
 * notification that is never acknowledged) or when the next hop does (an answer without Observe, or not 2.xx).
 */
#include "proxy/account.h"
#include "proxy/exchange.h"
#include "proxy/observe/observe.h"

#define TOKEN_HASHED 64          /* bytes at most */
#define PROVING_TOKEN 4         /* bytes: a shorter Token of a client is guessed by who sends in its name [rfc9175#2.6] */
#define CONFIRM_EVERY_US OSP_SEC(24 * 3600)     /* [rfc7641#4.5] at least once in 24 hours */
#define CONFIRM_EVERY 32                        /* so often that little is sent to a client that is gone */

/*
 * Who it is: besides address and Token the context of the innermost layer taken off, so that whoever sends from the
 * client's address in the clear cannot end what the client holds under a layer.
 */
static uint64_t
client_hash(const struct osp_proxy *px, const struct px_exchange *x, struct osp_slice token)
{
    struct osp_hash128 h = osp_hash_begin(&px->seed);
    struct px_client   c = px_client_of(x);

    px_hash_flow(&h, c.flow);
    osp_hash_word(&h, token.n);
    osp_hash_piece(&h, osp_slice_head(token, TOKEN_HASHED));
    if (c.ctx)
        px_hash_context(&h, c.ctx);
    return osp_hash_end64(&h);
}

/*
 * Without memory this notification is lost; the next brings the newer state anyway [rfc7641#1.3].  A subject has the
 * newest itself.
 */
bool
px_observe_hold(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, struct osp_octx *ctx)
{
    struct px_observation *o = x->obs;
    bool                   last = !x->notify;
    bool                   kept = o->subject && (!last || o->subject->ended);

    x->notify = false;
    if (t->px->aborting)
        return false;
    if (!kept && !osp_stored_keep(&o->held, &t->px->pool, resp)) {
        t->px->stats.errors[OSP_E_NO_LEASE]++;
        return !last;
    }
    o->held_last = last;
    px_wait_for_lease(t, x, ctx, PX_WAIT_LEASE_NOTIFY);
    return true;
}

enum px_step
px_observe_release(struct px_turn *t, struct px_exchange *x, bool leased)
{
    struct px_observation *o = x->obs;
    bool                   last = o->held_last || (o->subject && o->subject->ended);

    if (leased && osp_stored_get(&o->held, &t->px->a)) {
        x->notify = !o->held_last;      /* what is held is freed when it was sent, or held again */
        return px_respond(t, &t->px->a);
    }
    if (!leased)
        t->px->stats.errors[OSP_E_NO_LEASE]++;
    if (last) {
        t->why = OSP_OK;
        return PX_DROP;
    }
    osp_stored_release(&o->held, &t->px->pool);
    return PX_DONE;
}

void
px_observe_end(struct osp_proxy *px, struct px_exchange *x)
{
    if (x->obs->subject)
        px_subject_left(px, x->obs);
    osp_table_remove(&px->obs_clients, &x->obs->by_client);
    osp_table_remove(&px->obs_handles, &x->obs->by_handle.node);
    osp_stored_release(&x->obs->held, &px->pool);
    osp_ledger_give(&px->ledger, x->account, OSP_SHARE_OBSERVATIONS);
    osp_pool_put(&px->pool, x->obs, sizeof(*x->obs));
    x->obs = NULL;
    px_part_detach(x, PX_PART_OBSERVATION);
}

/* The client's own observation under this Token, NULL: there is none. */
static struct px_exchange *
of_client(struct osp_proxy *px, uint64_t hash)
{
    struct osp_node *n = osp_table_first(&px->obs_clients, hash);

    return n ? OSP_CONTAINER(n, struct px_observation, by_client)->x : NULL;
}

/* At the bound, or beyond its share, a registration is a plain request: a legal answer to it [rfc7641#4.1]. */
static bool
begin(struct px_turn *t, struct px_exchange *x, uint64_t hash)
{
    struct osp_proxy      *px = t->px;
    struct osp_account    *a;
    struct px_observation *o;

    if (px->obs_handles.count + px->subjects.count >= px->cfg.max_exchanges / 2)
        return false;
    a = px_account(px, x);
    if (!a || !osp_ledger_take(&px->ledger, a, OSP_SHARE_OBSERVATIONS))
        return false;
    o = osp_pool_get(&px->pool, sizeof(*o));
    if (!o) {
        osp_ledger_give(&px->ledger, a, OSP_SHARE_OBSERVATIONS);
        return false;
    }
    *o = (struct px_observation){ .x = x, .by_handle.x = x, .confirmed_us = t->now.us };
    osp_list_init(&o->fan);
    osp_table_add(&px->obs_clients, &o->by_client, hash);
    osp_table_add(&px->obs_handles, &o->by_handle.node, x->in);
    x->obs = o;
    px_part_attach(x, PX_PART_OBSERVATION);
    for (size_t i = 0; i < x->removed_count; i++)       /* the second notification will need a number */
        px_count_key_use(px, x->removed[i].ctx);
    return true;
}

bool
px_observe_wish(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, struct px_wish *wish)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_OBSERVE);
    uint32_t              v = OSP_OBSERVE_DEREGISTER + 1;

    if (!o)
        return false;
    (void)osp_opt_uint(o->val, &v);
    *wish = (struct px_wish){ .hash = client_hash(t->px, x, req->token) };
    wish->old = v == OSP_OBSERVE_REGISTER || v == OSP_OBSERVE_DEREGISTER ? of_client(t->px, wish->hash) : NULL;
    if (v == OSP_OBSERVE_DEREGISTER && osp_msg_has(req, OSP_OPT_OSCORE)) {  /* only the origin can end what is under its layer */
        x->ends = wish->old ? wish->old->in : 0;
        return false;
    }
    wish->registers = v == OSP_OBSERVE_REGISTER && (req->code == OSP_GET || req->code == OSP_FETCH);
    /* The address was proven when this client registered, from here and with this Token. */
    if (wish->old && req->token.n >= PROVING_TOKEN)
        x->verify.echoed = true;
    return true;
}

void
px_observe_grant(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct px_wish *wish)
{
    if (wish->old)                              /* [rfc7641#3.6] */
        px_drop(t, wish->old, OSP_OK);
    if (!wish->registers || !begin(t, x, wish->hash))
        osp_msg_remove(req, OSP_OPT_OBSERVE);
}

/*
 * One at a time is confirmed, and the message layer lets the newest wait for its turn: so what comes faster than the
 * client's round-trip time is paced by its acknowledgements [rfc7641#4.5.1].  The first one is confirmed too: it tells
 * that time, and that somebody at this address has asked [rfc7641#7].
 */
bool
px_observe_confirms(const struct px_observation *o, bool con, struct osp_time now)
{
    if (!o->answered)           /* that is the answer to the request, and goes out as this asks */
        return false;
    return con || o->rtt_us == 0 || now.us - o->sent_us < o->rtt_us || o->unconfirmed >= CONFIRM_EVERY ||
           now.us - o->confirmed_us >= CONFIRM_EVERY_US;
}

void
px_observe_sent(struct osp_proxy *px, struct px_observation *o, bool con, struct osp_time now)
{
    osp_stored_release(&o->held, &px->pool);
    o->sent_us = now.us;
    if (con || !o->answered)
        o->confirmed_us = now.us;
    o->unconfirmed = con ? 0 : o->unconfirmed + 1;
    o->answered = true;
}

void
px_observe_delivered(struct px_observation *o, struct osp_time now)
{
    uint64_t rtt = now.us - o->confirmed_us;    /* retransmissions make it longer: all the better */

    o->rtt_us = rtt ? rtt : 1;
}

/*
 * Under a layer of ours Partial IVs have put the notification in order already, and the Observe option outside is to be
 * ignored [rfc8613#4.1.3.5.2]; a reliable transport keeps the order itself, and the option may be empty [rfc8323#7.1]: the
 * client gets a count of ours.
 */
static bool
number(struct px_turn *t, struct px_order *o, struct osp_msg *resp)
{
    uint8_t *value = osp_wr_reserve(&t->scratch, 4);

    *o = (struct px_order){ .last_us = t->now.us, .last = o->any ? (o->last + 1) & 0xffffff : 0, .any = true };
    osp_msg_remove(resp, OSP_OPT_OBSERVE);
    return value && osp_msg_add(resp, OSP_OPT_OBSERVE, osp_opt_uint_make(o->last, value)) == OSP_OK;
}

enum px_step
px_observe_response(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp)
{
    struct px_observation *o = x->obs;

    if (!osp_msg_has(resp, OSP_OPT_OBSERVE) || OSP_CODE_CLASS(resp->code) != 2) {       /* [rfc7641#4.2] the last answer */
        x->notify = false;
        x->notify_con = t->came.confirmable;
        return px_respond(t, resp);
    }
    if (px_is_in_order(t->px, x) ? !number(t, &o->order, resp) : !px_order_take(&o->order, resp, t->now))
        return PX_DONE;
    x->notify = true;
    x->notify_con = px_observe_confirms(o, t->came.confirmable, t->now);
    t->px->stats.notifications++;
    return px_respond(t, resp);
}
