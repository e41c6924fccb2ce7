/* SPDX-License-Identifier: BSD-2-Clause */
/* What came back from the next hop: its layer off, judged, and on to the client; walk() is the list of steps. */
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"
#include "proxy/steps.h"

/*
 * The next hop does not know its window for our context and asks for freshness [rfc8613#B.1.2]: a 4.01 with
 * an Echo inside our layer.  It is between the two of us, so it is answered here, once, with the same request
 * and the Echo inside the same layer [rfc9175#2.3].  An end-to-end challenge is under the end-to-end layer
 * and not seen here; without one, the origin's challenge was made for our layer all the same.
 */
static enum px_step
answer_echo(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    const struct osp_opt *echo = osp_msg_get(resp, OSP_OPT_ECHO);
    struct osp_msg       *req = &t->px->a;
    struct osp_slice      value;
    uint8_t              *copy;

    if (!x->has_added || x->echo_tried || resp->code != OSP_CODE(4, 1) || !echo || osp_msg_has(resp, OSP_OPT_OSCORE))
        return PX_GO_ON;
    copy = osp_wr_reserve(&t->scratch, echo->val.n + 1);
    if (!copy || !osp_slice_copy(echo->val, copy, echo->val.n))
        return PX_GO_ON;
    value = osp_slice(copy, echo->val.n);
    if (!px_restore(x, req))
        return PX_GO_ON;
    osp_msg_remove(req, OSP_OPT_ECHO);
    /* the request with the Echo takes the place of the one that was saved */
    if (osp_msg_add(req, OSP_OPT_ECHO, value) != OSP_OK || !osp_stored_keep(&x->saved, &t->px->pool, req))
        return PX_GO_ON;
    x->echo_tried = true;
    return px_send_saved(t, x);
}

static enum px_step
fail(struct px_turn *t, enum osp_err e)
{
    t->why = e;
    return PX_FAIL_UPSTREAM;
}

static enum px_step
looped(struct px_turn *t)
{
    t->px->stats.errors[OSP_E_LOOP]++;
    return fail(t, OSP_E_BAD_RESPONSE);
}

/*
 * Own identifier in a 5.08 that passes by [rfc8768#4]: prepended; there already: a loop.  Then it is not forwarded, and the
 * client hears of it as a bad gateway.
 */
static enum px_step
mark_hop_limit(struct px_turn *t, const struct px_exchange *x, struct osp_msg *resp)
{
    struct osp_slice name = osp_slice_str(x->policy->node_name);
    struct osp_rd    r = osp_rd_from(resp->payload);
    struct osp_wr    w;
    uint8_t         *p;

    if (resp->code != OSP_CODE(5, 8) || name.n == 0)
        return PX_GO_ON;
    while (osp_rd_left(&r) > 0) {       /* words between spaces */
        struct osp_slice rest = osp_slice(r.p, osp_rd_left(&r));
        size_t           n = 0;

        while (n < rest.n && rest.p[n] != ' ')
            n++;
        if (osp_slice_eq(osp_rd_take(&r, n), name))     /* a loop, unless the answer is our own */
            return px_loop_came_back(x) ? PX_GO_ON : looped(t);
        if (osp_rd_left(&r) > 0)
            osp_rd_u8(&r);
    }
    if (name.n + 1 + resp->payload.n > 1024)
        return PX_GO_ON;
    p = osp_wr_reserve(&t->scratch, name.n + 1 + resp->payload.n);
    if (!p)
        return PX_GO_ON;
    w = osp_wr_to(p, name.n + 1 + resp->payload.n);
    osp_wr_put(&w, name);
    if (resp->payload.n)
        osp_wr_u8(&w, ' ');
    osp_wr_put(&w, resp->payload);
    resp->payload = osp_wr_slice(&w);
    return PX_GO_ON;
}

/*
 * True if the response is the answer to the request, and not a notification, which may not end an observation [rfc8613#8.4.2].
 */
static bool
is_first_answer(const struct px_turn *t, const struct px_exchange *x)
{
    if (x->subject)
        return !px_subject_ignores(t, x->subject);
    return !x->obs || !x->obs->answered;
}

/* The next hop may have lost its context: the request again, in another one. */
static enum px_step
ask_anew(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    return x->edhoc && is_first_answer(t, x) ? px_ask_in_another_context(t, x, resp) : PX_GO_ON;
}

/* Our layer off; the error a client gets when it does not come off. */
static enum px_step
take_layer_off(struct px_turn *t, struct px_exchange *x, struct osp_msg **resp)
{
    enum osp_err e;

    if (!x->has_added)
        return PX_GO_ON;
    e = osp_oscore_unprotect_response(t->px->crypto, &x->added, *resp, &t->scratch, &t->px->b);
    if (e == OSP_OK) {
        px_rekey_verified(t, x);
        px_agreement_verified(t, x);
    }
    px_count_key_use(t->px, x->added.ctx);
    if (e != OSP_OK)
        return fail(t, e == OSP_E_UNPROTECTED ? e : OSP_E_BAD_RESPONSE);
    *resp = &t->px->b;
    return PX_GO_ON;
}

static enum px_step
judge(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *resp)
{
    if (x->obs && x->obs->answered && px_is_out_of_use(x))      /* the client may register again */
        return fail(t, OSP_E_NOT_AGREED);
    if (!osp_code_is_response(resp->code))
        return fail(t, OSP_E_BAD_RESPONSE);
    if (osp_msg_has(resp, OSP_OPT_OSCORE) && !x->inner_oscore)  /* [ocp#2.6] one layer too many */
        return fail(t, OSP_E_EXTRA_LAYER);
    if (px_unsafe_option(resp))                                 /* [rfc7252#5.7.1] */
        return fail(t, OSP_E_UNKNOWN_OPTION_RESPONSE);
    return PX_GO_ON;
}

static enum px_step
walk(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg *resp)
{
    enum px_step v = px_transfer_response(t, x, handle, &resp);

    if (v == PX_GO_ON && !x->kind->in_the_clear) {
        v = px_combined_response(t, x, resp);
        if (v == PX_GO_ON)
            v = ask_anew(t, x, resp);
        if (v == PX_GO_ON)
            v = px_rekey_response(t, x, resp);
        if (v == PX_GO_ON)
            v = take_layer_off(t, x, &resp);
    }
    if (v == PX_FAIL_UPSTREAM && !is_first_answer(t, x)) {
        t->px->stats.errors[t->why]++;                          /* [rfc8613#8.4.2] does not end the observation */
        return PX_DONE;
    }
    if (v == PX_GO_ON && !x->kind->in_the_clear) {
        v = judge(t, x, resp);
        if (v == PX_GO_ON)
            v = answer_echo(t, x, resp);
        if (v == PX_GO_ON)
            v = mark_hop_limit(t, x, resp);
    }
    return v == PX_GO_ON ? x->kind->response(t, x, resp) : v;
}

void
px_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg *resp)
{
    px_conclude(t, x, walk(t, x, handle, resp));
}

/* For a client: into the cache, and out. */
enum px_step
px_client_response(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp)
{
    enum osp_err e = px_location_back(t, x->route, resp);

    if (e == OSP_OK)
        e = px_cache_take(t, x, &resp);
    if (e != OSP_OK)
        return fail(t, e);
    if (x->obs)
        return px_observe_response(t, x, resp);
    osp_msg_remove(resp, OSP_OPT_OBSERVE);              /* nothing was registered for */
    return px_respond(t, resp);
}
