/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Responses to the client: every layer that was removed from the request goes on again, in reverse order
 * [ocp#2.5].  An error after k removed layers travels under exactly those k.
 */
#include "proxy/access/access.h"
#include "proxy/account.h"
#include "proxy/blocks/blocks.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"
#include "proxy/steps.h"

/* [rfc7967#2] bit of the class of `code` */
static bool
is_suppressed(const struct px_exchange *x, uint8_t code)
{
    return x->no_response & 1u << (OSP_CODE_CLASS(code) - 1);
}

/*
 * Puts the `depth` outermost of the removed layers on `resp`, innermost first; the result is in one of the proxy's two
 * messages, which take turns.  *failed: whose context could not.
 */
static enum osp_err
put_layers_on(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, size_t depth, const struct osp_msg **out,
              struct osp_octx **failed)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    const struct osp_msg              *in = resp;
    uint8_t                            classes[OSP_MSG_OPTS_MAX];

    for (;; depth--) {
        struct osp_msg *to = in == &t->px->a ? &t->px->b : &t->px->a;
        enum osp_err    e;

        if (px_cut_is_due(x, depth)) {
            e = px_cut_response(t, x, in, to);
            if (e != OSP_OK)
                return e;
            in = to;
            to = in == &t->px->a ? &t->px->b : &t->px->a;
        }
        if (depth == 0)
            break;
        e = osp_classes(&ends, in, classes);
        if (e == OSP_OK)
            e = osp_oscore_protect_response(t->px->crypto, &x->removed[depth - 1], in, classes, false, &t->scratch, to);
        if (e != OSP_OK) {
            *failed = x->removed[depth - 1].ctx;
            return e == OSP_E_UNKNOWN_OPTION ? OSP_E_UNKNOWN_OPTION_RESPONSE : e;
        }
        in = to;
    }
    *out = in;
    return OSP_OK;
}

/* With the client's Token: the one in `out`, if any, is another leg's, and is replaced. */
static size_t
size_of(const struct px_exchange *x, const struct osp_msg *out)
{
    return osp_msg_size_udp(out) - out->token.n + x->verify.token_len;
}

/* `most`: of px_may_send(); what may come once only is not confirmable.  A challenge never is [rfc9175#2.4]. */
static enum osp_err
send(struct px_turn *t, struct px_exchange *x, const struct osp_msg *out, size_t most)
{
    struct osp_respond how = { .keep = x->notify, .confirmable = x->notify_con, .never_repeated = x->is_challenge };

    if (most != SIZE_MAX && size_of(x, out) > most / osp_exchange_can(&t->px->transports, &x->from.peer)->copies)
        how.never_repeated = true;
    if (osp_exchange_will_repeat(&t->px->transports, x->in))
        how.account = px_account(t->px, x);
    return osp_exchange_respond(&t->px->transports, x->in, out, how, t->now);
}

/*
 * What is longer than a datagram of ours, or than what an unverified address may get for an executed request, goes out
 * in blocks; what cannot, the client hears of under the same layers.  OSP_E_UNVERIFIED: the client is to be asked first.
 */
static enum osp_err
respond(struct px_turn *t, struct px_exchange *x, const struct osp_msg *out)
{
    const struct osp_peer_can *can = osp_exchange_can(&t->px->transports, &x->from.peer);
    size_t                     room = can->largest_message, most = px_may_send(t, x);
    struct osp_msg            *to = out == &t->px->a ? &t->px->b : &t->px->a;
    enum osp_err               e;

    if (most == SIZE_MAX || size_of(x, out) <= most) {  /* its address is proven, or this is short enough */
        e = send(t, x, out, most);
        if (e != OSP_E_NOSPACE || size_of(x, out) - x->verify.token_len + can->longest_token <= room)
            return e;
    } else if (x->is_error) {
        t->px->stats.shortened++;
        osp_msg_init(to, out->code);
        return send(t, x, to, most);
    } else if (x->verify.safe) {
        return OSP_E_UNVERIFIED;
    }
    e = px_cut_to_fit(t, x, out, most < room ? most - (most < x->verify.token_len ? most : x->verify.token_len) : room, to);
    if (e == OSP_OK && most != SIZE_MAX && size_of(x, to) > most)
        osp_msg_remove(to, OSP_OPT_SIZE2);              /* it may do without */
    if (e == OSP_OK && most != SIZE_MAX && size_of(x, to) > most)       /* its other options alone */
        e = OSP_E_TOO_LONG;
    if (e != OSP_OK)
        return OSP_E_TOO_LONG;
    t->px->stats.shortened += most != SIZE_MAX;
    return send(t, x, to, most);
}

/* Piggybacked or non-confirmable, so that it is not repeated to somebody who did not ask [rfc9175#2.4]. */
void
px_challenge_address(struct px_turn *t, struct px_exchange *x)
{
    struct osp_respond how = { .never_repeated = true };
    enum osp_err       e = px_ask_address(t, x, &t->px->a);

    t->px->stats.errors[OSP_E_UNVERIFIED]++;
    if (e == OSP_OK)
        e = osp_exchange_respond(&t->px->transports, x->in, &t->px->a, how, t->now);
    if (e == OSP_OK)
        px_exchange_end(t->px, x);
    else
        px_drop(t, x, e);
}

/* Sends what is under all its layers, and ends the exchange unless it was a notification. */
static void
finish(struct px_turn *t, struct px_exchange *x, const struct osp_msg *out)
{
    enum osp_err e;

    px_blocks_pass(t, x, out);
    e = respond(t, x, out);
    if (e == OSP_E_UNVERIFIED) {
        px_challenge_address(t, x);
    } else if (e == OSP_E_TOO_LONG && !x->told_too_long) {
        x->told_too_long = true;
        px_answer_error(t, x, e);
    } else if (e != OSP_OK) {
        px_drop(t, x, e);
    } else if (x->notify) {
        x->notify = false;
        px_observe_sent(t->px, x->obs, x->notify_con, t->now);
    } else {
        px_exchange_end(t->px, x);
    }
}

static void
count_answer(struct px_turn *t, uint8_t code)
{
    t->px->stats.answers[OSP_CODE_CLASS(code) & 7]++;
}

/* A context that was revoked, or went otherwise: an answer that is due is given, but what a client observes ends. */
static bool
is_put_out(const struct px_exchange *x)
{
    for (size_t i = 0; i < x->removed_count; i++)
        if (osp_octx_is_out_of_use(x->removed[i].ctx))
            return true;
    return false;
}

void
px_answer(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    const struct osp_msg *out = NULL;
    struct osp_octx      *failed = NULL;
    enum osp_err          e;

    if (x->notify && x->obs->answered && is_put_out(x)) {
        px_answer_error(t, x, OSP_E_NO_CONTEXT);
        return;
    }
    if (is_suppressed(x, resp->code)) {
        px_drop(t, x, OSP_OK);
        return;
    }
    e = put_layers_on(t, x, resp, x->removed_count, &out, &failed);
    for (size_t i = 0; i < x->removed_count; i++)
        px_count_key_use(t->px, x->removed[i].ctx);
    if (e == OSP_OK) {
        count_answer(t, resp->code);
        finish(t, x, out);
    } else if (e == OSP_E_NO_LEASE && x->obs && px_observe_hold(t, x, resp, failed)) {
        return;                 /* it waits */
    } else if (e == OSP_E_OVERLOAD && x->cut.block2_asked + x->cut.block1_acked > 0 && resp->payload.n > 0) {
        px_answer_error(t, x, e);                       /* nothing can be kept of a response in blocks */
    } else if (e == OSP_E_UNKNOWN_OPTION_RESPONSE) {    /* [ocp#2.2] 5.02 instead */
        px_answer_error(t, x, e);
    } else if (e == OSP_E_TOO_LARGE) {  /* [key-limits#2.3] the next hop is to send it in blocks */
        px_answer_error(t, x, OSP_E_BAD_RESPONSE);
    } else {
        px_drop(t, x, e);       /* our own trouble: an answer under fewer layers would tell too much */
    }
}

/*
 * Errors of the OSCORE processing itself are answered in the clear when no layer was removed yet, with
 * Max-Age 0 and the text of RFC 8613; under layers the code says it all. [rfc8613#8.2] [rfc8613#7.4]
 */
static void
add_unprotected_detail(const struct px_exchange *x, enum osp_err why, struct osp_msg *resp)
{
    if (x->removed_count > 0)
        return;
    switch (why) {      /* NOLINT: the others carry nothing */
    case OSP_E_OSCORE_OPTION:
    case OSP_E_NO_CONTEXT:
    case OSP_E_KEY_SPENT:
    case OSP_E_REPLAY:
    case OSP_E_DECRYPT:
        if (osp_msg_add(resp, OSP_OPT_MAX_AGE, OSP_EMPTY) == OSP_OK)
            resp->payload = osp_slice_str(osp_err_text(why));
        break;
    default:
        break;
    }
}

void
px_answer_error(struct px_turn *t, struct px_exchange *x, enum osp_err why)
{
    uint8_t        code = osp_err_code(why);
    uint8_t        age[4];
    struct osp_msg resp;

    t->px->stats.errors[why]++;
    px_parts_failed(x, why);
    x->notify = x->notify_con = false;
    x->is_error = true;
    if (code == 0 || is_suppressed(x, code)) {
        px_drop(t, x, OSP_OK);
        return;
    }
    osp_msg_init(&resp, code);
    add_unprotected_detail(x, why, &resp);
    if (why == OSP_E_HOP_LIMIT || why == OSP_E_CAME_BACK)       /* [rfc8768#4] who saw the end of it */
        resp.payload = osp_slice_str(x->policy->node_name);
    if (why == OSP_E_KEY_LIMIT)         /* trying again will not help before the operator or a new key does */
        resp.payload = osp_slice_str(osp_err_text(why));
    if ((code == OSP_CODE(5, 3) || code == OSP_CODE(4, 29)) &&  /* when to try again */
        osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(OSP_RETRY_AFTER_S, age)) != OSP_OK)
        resp.opt_count = 0;
    if (why == OSP_E_TOO_LARGE && px_add_uint(t, &resp, OSP_OPT_SIZE1, t->px->cfg.max_body) != OSP_OK)  /* [rfc7959#4] */
        resp.opt_count = 0;
    px_answer(t, x, &resp);
}

/*
 * The context of the last removed layer does not know its window: nothing is executed; a 4.01 with an Inner
 * Echo and a Partial IV of our own goes back [rfc8613#B.1.2], the same one if the request was challenged before.
 */
void
px_challenge(struct px_turn *t, struct px_exchange *x)
{
    size_t                inner = x->removed_count - 1;
    struct osp_octx      *ctx = x->removed[inner].ctx;
    struct osp_msg       *resp = &t->px->a;
    const struct osp_msg *out = NULL;
    struct osp_octx      *failed = ctx;
    bool                  repeated = false;
    enum osp_err          e;

    x->is_challenge = true;     /* whoever recorded the request may send it from anywhere: its answer is not confirmable */
    e = osp_oscore_protect_challenge(t->px->crypto, &x->removed[inner], t->now, &t->px->rand, &t->scratch, resp, &repeated);
    px_count_key_use(t->px, ctx);
    if (e == OSP_E_NO_LEASE && px_admit(t, x) == OSP_OK) {
        px_wait_for_lease(t, x, ctx, PX_WAIT_LEASE_CHALLENGE);
        return;
    }
    if (e == OSP_OK)
        e = put_layers_on(t, x, resp, inner, &out, &failed);
    if (e != OSP_OK) {
        px_drop(t, x, e);
        return;
    }
    if (repeated)
        t->px->stats.challenges_repeated++;
    else
        t->px->stats.challenges++;
    t->px->stats.errors[OSP_E_NOT_FRESH]++;
    count_answer(t, OSP_CODE(4, 1));
    finish(t, x, out);
}

void
px_fail_upstream(struct px_turn *t, struct px_exchange *x, enum osp_err why)
{
    if (!px_cache_stands_in(t, x, why)) {
        x->kind->failed(t, x, why);
        return;
    }
    px_parts_failed(x, why);    /* a stale response is no answer for those who wait for this exchange */
    px_answer(t, x, t->out);
}
