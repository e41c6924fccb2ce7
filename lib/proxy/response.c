/* SPDX-License-Identifier: BSD-2-Clause */
/* What came back from the next hop: its layer off, judged, and on to the client. */
#include "proxy/impl.h"

/*
 * The next hop does not know its window for our context and asks for freshness [rfc8613#B.1.2]: a 4.01 with
 * an Echo inside our layer.  It is between the two of us, so it is answered here, once, with the same request
 * and the Echo inside the same layer [rfc9175#2.3].  An end-to-end challenge is under the end-to-end layer
 * and not seen here; without one, the origin's challenge was made for our layer all the same.
 */
static bool
answer_echo(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    const struct osp_opt *echo = osp_msg_get(resp, OSP_OPT_ECHO);
    struct osp_msg       *req = &t->px->a;
    struct osp_slice      value;
    uint8_t              *copy;

    if (!x->has_added || x->echo_tried || resp->code != OSP_CODE(4, 1) || !echo || osp_msg_has(resp, OSP_OPT_OSCORE))
        return false;
    copy = osp_wr_reserve(&t->scratch, echo->val.n + 1);
    if (!copy || !osp_slice_copy(echo->val, copy, echo->val.n))
        return false;
    value = osp_slice(copy, echo->val.n);
    if (!px_restore(x, req))
        return false;
    osp_msg_remove(req, OSP_OPT_ECHO);
    /* the request with the Echo takes the place of the one that was saved */
    return osp_msg_add(req, OSP_OPT_ECHO, value) == OSP_OK && px_keep(t->px, &x->saved, req) && px_restore(x, req);
}

/* Own identifier in a 5.08 that passes by [rfc8768#4]: prepended; there already: a loop. */
static enum osp_err
mark_hop_limit(struct px_turn *t, const struct px_exchange *x, struct osp_msg *resp)
{
    struct osp_slice name = osp_slice_str(x->policy->node_name);
    struct osp_rd    r = osp_rd_from(resp->payload);
    struct osp_wr    w;
    uint8_t         *p;

    if (resp->code != OSP_CODE(5, 8) || name.n == 0)
        return OSP_OK;
    while (osp_rd_left(&r) > 0) {       /* words between spaces */
        struct osp_slice rest = osp_slice(r.p, osp_rd_left(&r));
        size_t           n = 0;

        while (n < rest.n && rest.p[n] != ' ')
            n++;
        if (osp_slice_eq(osp_rd_take(&r, n), name))     /* or it is our own answer to our own request: news to the client */
            return px_loop_came_back(x) ? OSP_OK : OSP_E_LOOP;
        if (osp_rd_left(&r) > 0)
            osp_rd_u8(&r);
    }
    if (name.n + 1 + resp->payload.n > 1024)
        return OSP_OK;
    p = osp_wr_reserve(&t->scratch, name.n + 1 + resp->payload.n);
    if (!p)
        return OSP_OK;
    w = osp_wr_to(p, name.n + 1 + resp->payload.n);
    osp_wr_put(&w, name);
    if (resp->payload.n)
        osp_wr_u8(&w, ' ');
    osp_wr_put(&w, resp->payload);
    resp->payload = osp_wr_slice(&w);
    return OSP_OK;
}

/* Our layer off; the error a client gets when it does not come off. */
static enum osp_err
take_layer_off(struct px_turn *t, struct px_exchange *x, struct osp_msg **resp)
{
    enum osp_err e;

    if (!x->has_added)
        return OSP_OK;
    e = osp_oscore_unprotect_response(t->px->crypto, &x->added, *resp, &t->scratch, &t->px->b);
    if (e == OSP_OK) {
        px_rekey_verified(t, x);
        px_agreement_verified(t, x);
    }
    px_count_key_use(t->px, x->added.ctx);
    if (e == OSP_OK) {
        *resp = &t->px->b;
        return OSP_OK;
    }
    return e == OSP_E_UNPROTECTED ? e : OSP_E_BAD_RESPONSE;
}

bool
px_is_out_of_use(const struct px_exchange *x)
{
    return x->has_added && osp_octx_is_out_of_use(x->added.ctx);
}

static enum osp_err
judge(const struct px_exchange *x, const struct osp_msg *resp)
{
    if (!osp_code_is_response(resp->code))
        return OSP_E_BAD_RESPONSE;
    if (osp_msg_has(resp, OSP_OPT_OSCORE) && !x->inner_oscore)  /* [ocp#2.6] one layer too many */
        return OSP_E_EXTRA_LAYER;
    if (px_unsafe_option(resp))                                 /* [rfc7252#5.7.1] */
        return OSP_E_UNKNOWN_OPTION_RESPONSE;
    return OSP_OK;
}

void
px_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg *resp)
{
    enum osp_err e;
    uint8_t      type;

    if (px_transfer_response(t, x, handle, &resp, &e) == PX_BLOCKS_MORE)
        return;
    type = resp->type;
    if (e == OSP_OK && x->agreement) {
        px_agreement_response(t, x, resp);
        return;
    }
    if (e == OSP_OK && (px_combined_response(t, x, resp) || px_agree_again(t, x, resp) || px_rekey_response(t, x, resp)))
        return;
    if (e == OSP_OK)
        e = take_layer_off(t, x, &resp);
    if (e != OSP_OK && (x->subject ? px_subject_ignores(x->subject, type) : x->obs && x->obs->answered)) {
        t->px->stats.errors[e]++;                       /* [rfc8613#8.4.2] does not end the observation */
        return;
    }
    if (e == OSP_OK && x->obs && x->obs->answered && px_is_out_of_use(x))
        e = OSP_E_NOT_AGREED;                           /* the client may register again */
    if (e == OSP_OK)
        e = judge(x, resp);
    if (e == OSP_OK && answer_echo(t, x, resp)) {
        x->echo_tried = true;
        px_send(t, x, &t->px->a);
        return;
    }
    if (e == OSP_OK)
        e = mark_hop_limit(t, x, resp);
    if (e == OSP_OK && !x->subject)
        e = px_location_back(t, x->route, resp);
    if (e == OSP_E_LOOP) {              /* [rfc8768#4] not forwarded: the client hears of it as a bad gateway */
        t->px->stats.errors[e]++;
        e = OSP_E_BAD_RESPONSE;
    }
    if (e == OSP_OK && x->subject) {
        px_subject_response(t, x->subject, resp, type);
        return;
    }
    if (e == OSP_OK)
        e = px_cache_take(t, x, &resp);
    if (e != OSP_OK) {
        if (!px_cache_stands_in(t, x, e))
            px_answer_error(t, x, e);
        return;
    }
    if (!x->obs)
        osp_msg_remove(resp, OSP_OPT_OBSERVE);          /* nothing was registered for */
    else if (!px_observe_response(t, x, resp, type))
        return;
    px_answer(t, x, resp);
}
