/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of a request that has an address to go to, and what is done for the verdict of any step (px_conclude()).
 *
 *   px_ensure_context()  EDHOC with the next hop, where its context is established when it is needed
 *   put_layer_on()       the next hop's layer, where there is one
 *   hand_over()          to the message layer, in blocks if it is long
 */
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/request.h"

/* [rfc8613#8.1] */
enum osp_err
px_protect(struct px_turn *t, struct px_exchange *x, struct osp_msg **req)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    struct osp_msg                    *out = *req == &t->px->a ? &t->px->b : &t->px->a;
    uint8_t                            classes[OSP_MSG_OPTS_MAX];
    struct osp_layer                   added;
    enum osp_err                e = osp_classes(&ends, *req, classes);

    if (e != OSP_OK)
        return e;
    if (!px_save(t->px, x, *req))       /* the next hop may challenge with Echo */
        return OSP_E_NOMEM;
    if (x->hop_ctx && osp_b2_is_base(x->hop_ctx))
        e = px_rekey_choose(t, x);
    if (e == OSP_OK)
        e = osp_oscore_protect_request(t->px->crypto, x->current ? x->current : x->hop_ctx, *req, classes, &t->scratch, out,
                                       &added);
    if (e != OSP_OK)
        return e;
    if (x->has_added)                   /* asked again: what comes now belongs to this one */
        osp_layer_fini(&x->added);
    x->added = added;
    x->has_added = true;
    t->px->stats.layers_added++;
    *req = out;
    return px_has_part(x, PX_PART_CARRIED) ? px_carry_message(t, x, out) : OSP_OK;
}

static enum px_step
put_layer_on(struct px_turn *t, struct px_exchange *x, struct osp_msg **req)
{
    struct osp_msg *plain = *req;
    enum osp_err    e = OSP_OK;

    if (x->hop_ctx || x->current) {
        e = px_protect(t, x, req);
        if (e == OSP_OK)
            px_count_key_use(t->px, x->added.ctx);
    } else if (x->has_added) {          /* it was sent under a layer before, which is only preferred */
        osp_layer_fini(&x->added);
        x->has_added = false;
    }
    if (e == OSP_E_REKEY)
        return px_rekey_wait(t, x, plain);
    if (e != OSP_E_NO_LEASE)
        return px_judge(t, e);
    if (!px_save(t->px, x, plain))
        return px_fail(t, OSP_E_NOMEM);
    px_wait_for_lease(t, x, x->current ? x->current : x->hop_ctx, PX_WAIT_LEASE_OUT);
    return PX_DONE;
}

static enum px_step
hand_over(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    return px_judge(t, px_is_too_long(t->px, &x->to, req) ? px_transfer_start(t, x, req) : px_request(t, x, req));
}

/* A message of an EDHOC session: each is a request of its own. */
static enum px_step
send_in_the_clear(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    px_transfer_end(t->px, x);
    return hand_over(t, x, req);
}

static enum px_step
send(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    bool         again = x->echo_tried || x->rekey.rounds || (x->edhoc && x->edhoc->asked_anew) || x->out;
    enum px_step v = x->edhoc ? px_ensure_context(t, x, req) : PX_GO_ON;

    if (v == PX_GO_ON)
        v = put_layer_on(t, x, &req);
    if (v == PX_GO_ON)
        v = hand_over(t, x, req);
    if (v != PX_GO_ON || again)         /* a request that is sent again was counted before */
        return v;
    if (x->route)
        t->px->stats.forwarded_reverse++;
    else
        t->px->stats.forwarded_forward++;
    return v;
}

void
px_send(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    px_conclude(t, x, x->kind->in_the_clear ? send_in_the_clear(t, x, req) : send(t, x, req));
}

void
px_conclude(struct px_turn *t, struct px_exchange *x, enum px_step v)
{
    switch (v) {
    case PX_RESPOND:
        px_answer(t, x, t->out);
        break;
    case PX_FAIL:
        x->kind->failed(t, x, t->why);
        break;
    case PX_FAIL_UPSTREAM:
        px_fail_upstream(t, x, t->why);
        break;
    case PX_SEND:
        px_send(t, x, t->out);
        break;
    case PX_PROVE:
        px_challenge_address(t, x);
        break;
    case PX_DROP:
        px_drop(t, x, t->why);
        break;
    case PX_GO_ON:
    case PX_DONE:
        break;
    }
}

void
px_send_what_is_due(struct osp_proxy *px, struct osp_time now)
{
    struct osp_list *n;

    while ((n = osp_list_first(&px->at_once)) != NULL) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, wait);
        struct px_turn      t = px_turn_begin(px, now);

        osp_list_remove(&x->wait);
        px_conclude(&t, x, px_send_saved(&t, x));
    }
}
