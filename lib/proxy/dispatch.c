/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of an incoming request [ocp#2.4]: is it to be forwarded, is there a layer for us, or is it local?
 * Removing a layer leads back to the start, so a request is looked at once per layer; the limit is asked
 * before a layer is touched.
 */
#include "proxy/access/access.h"
#include "proxy/account.h"
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/flow.h"
#include "proxy/steps.h"

/* The layer to put on for a forward-proxied request: by authority, first match wins. */
static void
upstream_context(const struct osp_policy *p, const struct osp_authority *to, struct osp_next_hop *hop)
{
    for (size_t i = 0; i < p->upstream_count; i++) {
        if (!osp_target_match(&p->upstreams[i].match, to))
            continue;
        hop->ctx = p->upstreams[i].ctx;
        hop->edhoc = p->upstreams[i].edhoc;
        hop->single = p->upstreams[i].single;
        return;
    }
}

/* Steps 2 and 4, as a forward-proxy. */
static enum px_step
as_forward_proxy(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    struct osp_next_hop  hop = { 0 };
    struct osp_authority to;
    enum osp_err         e;

    if (!x->policy->forward)
        return px_fail(t, OSP_E_NOT_PROXY);             /* [rfc7252#5.10.2] */
    if (px_unsafe_option(req))
        return px_fail(t, OSP_E_UNKNOWN_OPTION);
    e = px_request_authority(t, x, req, &to);
    if (e != OSP_OK)
        return px_fail(t, e);
    if (px_is_own(t->px, x, &to)) {     /* the authority is ours: a local request */
        e = px_become_local(t, x, &to, req);
        return px_judge(t, e);
    }
    e = px_may_forward(t, x, &to);
    if (e != OSP_OK)
        return px_fail(t, e);
    if (x->policy->has_next_hop) {
        hop = x->policy->next_hop;
        x->vouched = true;
        e = px_translate_to_proxy(t, &to, req);
    } else {
        hop.to = to;
        upstream_context(x->policy, &to, &hop);
        px_consume_proxy_options(req);
    }
    if (e != OSP_OK)
        return px_fail(t, e);
    px_forward(t, x, req, &hop);
    return PX_DONE;
}

/* The OSCORE option of a request that could be for us, parsed. */
static enum osp_err
parse_option(const struct osp_msg *req, struct osp_oscore_opt *out)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_OSCORE);
    enum osp_err          e;

    if (osp_msg_count(req, OSP_OPT_OSCORE) > 1)         /* [rfc7252#5.4.5] it may not be repeated */
        return OSP_E_OSCORE_OPTION;
    if (!o)
        return OSP_E_NO_CONTEXT;
    e = osp_oscore_opt_parse(o->val, out);
    if (e == OSP_OK && (!out->has_kid || out->piv.n == 0 || req->payload.n == 0))       /* [rfc8613#5] [rfc8613#2] */
        e = OSP_E_OSCORE_OPTION;
    return e;
}

/* The context of these IDs, with a reference: of the configuration, or made at run time. NULL: none. */
static struct osp_octx *
find_context(const struct px_exchange *x, const struct osp_oscore_opt *o)
{
    struct osp_octx *c = osp_octx_configured_find(x->policy->contexts, o->kid, o->has_kid_context, o->kid_context);

    if (c && !osp_b2_is_base(c)) {
        osp_octx_ref(c);
        return c;
    }
    c = x->policy->runtime ? osp_octx_runtime_find(x->policy->runtime, o->kid, o->has_kid_context, o->kid_context) : NULL;
    return c ? c : px_rekey_find(x, o);
}

/*
 * True if the OSCORE layer of `req` may be one for us, as far as its IDs tell.  Beside an EDHOC option it is one if the message_3
 * in the request belongs to a session of ours.
 */
static bool
may_be_for_us(const struct px_exchange *x, const struct osp_msg *req)
{
    struct osp_oscore_opt o;
    struct osp_octx      *c;

    if (parse_option(req, &o) != OSP_OK)
        return false;
    if (osp_msg_has(req, OSP_OPT_EDHOC))
        return px_edhoc_is_combined(x, o.kid);
    c = find_context(x, &o);
    osp_octx_unref(c);
    return c || px_rekey_is_for_us(x, &o);
}

/*
 * Steps 3 and 4, as a reverse-proxy.  A route that terminates does not count while there is a layer for us:
 * the outer Uri-Host may be the reverse-proxied one and the request still be protected for us.  Whether there is one is known
 * when it came off: an end-to-end layer may have a kid of ours.
 */
static enum px_step
as_reverse_proxy(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_route *r)
{
    enum osp_err e;

    if (px_unsafe_option(req))
        return px_fail(t, OSP_E_UNKNOWN_OPTION);
    e = px_may_route(t, x, (size_t)(r - x->policy->routes));
    if (e == OSP_OK && r->outer_host)
        e = px_outer_put_back(&t->outer, req);
    if (e == OSP_OK)
        e = px_translate_reverse(r, req);
    if (e != OSP_OK)
        return px_fail(t, e);
    x->route = r;
    px_forward(t, x, req, &r->hop);
    return PX_DONE;
}

/* An EDHOC option at the layer that is to be removed is for us too [rfc9668#3.3.1]. */
static enum px_step
take_edhoc_off(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_oscore_opt *o)
{
    if (!osp_msg_has(req, OSP_OPT_EDHOC))
        return PX_GO_ON;
    return x->policy->edhoc ? px_edhoc_combined(t, x, req, o->kid) : px_fail(t, OSP_E_UNKNOWN_OPTION);
}

/* `ctx` NULL: no context fits, but one may be derived. */
static enum osp_err
remove_with(struct px_turn *t, struct px_exchange *x, struct osp_octx *ctx, const struct osp_oscore_opt *o,
            const struct osp_msg *req, struct osp_msg *out)
{
    struct osp_layer *l = &x->removed[x->removed_count];

    return ctx ? osp_oscore_unprotect_request(t->px->crypto, ctx, req, &t->scratch, out, l) : px_rekey_request(t, x, o, req, out);
}

/*
 * True if the layer of `req` did not come off for `why` because it is not ours.  A Partial IV that was seen before says nothing
 * about that, the tag does: a replay of ours stays here.
 */
static bool
is_somebody_elses(struct px_turn *t, struct osp_octx *ctx, const struct osp_msg *req, enum osp_err why)
{
    if (why == OSP_E_REPLAY)
        return ctx && !osp_oscore_fits_request(t->px->crypto, ctx, req, &t->scratch);
    return why == OSP_E_DECRYPT || why == OSP_E_KEY_SPENT || why == OSP_E_NO_CONTEXT;
}

/* The layer did not come off for `why`. */
static enum px_step
leave_layer(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, struct osp_octx *ctx, const struct osp_route *instead,
            enum osp_err why)
{
    if (!instead || !px_sees_route(x, (size_t)(instead - x->policy->routes)) || !is_somebody_elses(t, ctx, req, why))
        return px_fail(t, why == OSP_E_FORMAT || why == OSP_E_OPTION_COUNT ? OSP_E_DECRYPT : why); /* no message inside */
    t->px->stats.layers_left++;
    if (x->cut.block1_acked || x->cut.block2_asked) {   /* blocks around it were put together; the response is cut for them */
        osp_msg_remove(req, OSP_OPT_BLOCK1);
        osp_msg_remove(req, OSP_OPT_BLOCK2);
        osp_msg_remove(req, OSP_OPT_SIZE1);
    }
    return as_reverse_proxy(t, x, req, instead);
}

/*
 * Step 6: one layer off; the result is in the other message of the proxy.  `instead`: where the request goes if the layer turns
 * out to be another's; NULL: nowhere.
 */
static enum px_step
remove_layer(struct px_turn *t, struct px_exchange *x, struct osp_msg **req, const struct osp_route *instead)
{
    const struct px_outer before = t->outer;
    struct osp_msg       *out = *req == &t->px->a ? &t->px->b : &t->px->a;
    struct osp_oscore_opt o;
    struct osp_octx      *ctx;
    enum osp_err          e;
    enum px_step          v;

    if (x->removed_count >= x->policy->max_layers || x->removed_count >= PX_LAYERS_MAX)
        return px_fail(t, OSP_E_LAYERS);                /* [ocp#2.1] */
    if (x->policy->edhoc && osp_msg_has(*req, OSP_OPT_EDHOC) && (*req)->payload.n == 0)
        return px_fail(t, OSP_E_BAD_REQUEST);           /* [rfc9668#3.3.1] step 1 */
    e = parse_option(*req, &o);
    if (e != OSP_OK)
        return px_fail(t, e);
    ctx = find_context(x, &o);
    if (!ctx && !px_rekey_is_for_us(x, &o) && !(x->policy->edhoc && osp_msg_has(*req, OSP_OPT_EDHOC)))
        return px_fail(t, OSP_E_NO_CONTEXT);
    v = px_blocks_request(t, x, *req);
    if (v == PX_GO_ON)
        v = take_edhoc_off(t, x, *req, &o);
    if (v != PX_GO_ON) {
        osp_octx_unref(ctx);
        return v;
    }
    if (!ctx)
        ctx = find_context(x, &o);      /* the one that message_3 made */
    instead = px_unsafe_option(*req) ? NULL : instead;
    px_outer_take(*req, &t->outer);
    e = remove_with(t, x, ctx, &o, *req, out);
    if (ctx)
        px_count_key_use(t->px, ctx);            /* a tag that does not verify uses the key up, too */
    if (e != OSP_OK && e != OSP_E_NOT_FRESH && e != OSP_E_REKEY) {
        enum osp_err back = px_outer_put_back(&t->outer, *req);

        t->outer = before;
        v = back == OSP_OK ? leave_layer(t, x, *req, ctx, instead, e) : px_fail(t, back);
        osp_octx_unref(ctx);
        return v;
    }
    osp_octx_unref(ctx);                /* the layer has a reference of its own */
    x->removed_count++;
    t->px->stats.layers_removed++;
    if (e == OSP_E_NOT_FRESH) {
        px_challenge(t, x);
        return PX_DONE;
    }
    if (e == OSP_E_REKEY)
        return px_rekey_answer(t, x);
    px_note_known(t->px, &x->from, t->now);
    *req = out;
    return PX_GO_ON;
}

/* [rfc7252#5.10.1] dots also outside of a layer of ours */
static enum px_step
look_at(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    const struct osp_opt *quiet = osp_msg_get(req, OSP_OPT_NO_RESPONSE);
    uint32_t              mask = 0;

    if (!osp_code_is_request(req->code))        /* a response code inside a request's layer */
        return px_fail(t, OSP_E_BAD_REQUEST);
    /* of the layer that is looked at now: an outer one was anybody's */
    x->no_response = quiet && osp_opt_uint(quiet->val, &mask) && mask <= 255 ? (uint8_t)mask : 0;
    return px_judge(t, osp_path_has_dots(req, OSP_OPT_URI_PATH) ? OSP_E_DOT_SEGMENT : OSP_OK);
}

/* Where it goes from here.  PX_GO_ON: a layer came off, or an authority of ours; so the request is looked at anew. */
static enum px_step
route(struct px_turn *t, struct px_exchange *x, struct osp_msg **req)
{
    const struct osp_route *r;
    bool                    oscore = osp_msg_has(*req, OSP_OPT_OSCORE), terminates;

    if (px_is_forward_form(*req))
        return as_forward_proxy(t, x, *req);
    r = px_find_route(t, x, *req);
    terminates = r && oscore && !r->pass && may_be_for_us(x, *req);
    if (x->policy->reverse && !oscore && (t->outer.has_host || t->outer.has_port) && !(r && r->outer_host))
        t->px->stats.outer_ignored++;
    if (r && !terminates)
        return as_reverse_proxy(t, x, *req, r);
    if (oscore) {
        if (x->policy->otp_compat && osp_msg_has(*req, OSP_OPT_URI_PATH))       /* [otp#3] step 4 */
            return px_fail(t, OSP_E_BAD_REQUEST);
        return remove_layer(t, x, req, r);
    }
    return px_local(t, x, *req);
}

void
px_dispatch(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    enum px_step v = PX_GO_ON;

    px_note_request(t, x, req);
    x->cut.op = px_op_of(t->px, x, PX_BODY_RESPONSE, req);      /* if the response has to be cut */
    for (int turn = 0; turn < PX_TURNS_MAX && v == PX_GO_ON; turn++) {
        v = look_at(t, x, req);
        if (v == PX_GO_ON)
            v = px_blocks_serve(t, x, req);
        if (v == PX_GO_ON)
            v = route(t, x, &req);
    }
    px_conclude(t, x, v == PX_GO_ON ? px_fail(t, OSP_E_LAYERS) : v);
}
