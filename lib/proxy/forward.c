/* SPDX-License-Identifier: BSD-2-Clause */
/* Towards the next hop: resolve, protect, send; park what has to wait. */
#include "proxy/impl.h"

enum osp_err
px_protect(struct px_turn *t, struct px_exchange *x, struct osp_msg **req)
{
    static const struct osp_leg leg = { OSP_LEG_RELAY, true, true };
    struct osp_msg             *out = *req == &t->px->a ? &t->px->b : &t->px->a;
    uint8_t                     classes[OSP_MSG_OPTS_MAX];
    struct osp_layer            added;
    enum osp_err                e = osp_classes(&leg, *req, classes);

    if (e != OSP_OK)
        return e;
    if (!px_save(t->px, x, *req))       /* the next hop may challenge with Echo */
        return OSP_E_NOMEM;
    if (x->hop_ctx && osp_b2_is_base(x->hop_ctx))
        e = px_rekey_choose(t, x);
    if (e == OSP_OK)
        e = osp_oscore_protect_request(t->px->crypto, x->leg ? x->leg : x->hop_ctx, *req, classes, &t->scratch, out, &added);
    if (e != OSP_OK)
        return e;
    if (x->has_added)                   /* asked again: what comes now belongs to this one */
        osp_layer_fini(&x->added);
    x->added = added;
    x->has_added = true;
    t->px->stats.layers_added++;
    *req = out;
    return x->carries ? px_combined_put(t, x, out) : OSP_OK;
}

/* For whom a CON goes upstream, as osp_request.client: 0 for what the proxy needs itself or for several clients. */
uint64_t
px_asks_for(const struct osp_proxy *px, const struct px_exchange *x)
{
    return x->subject || x->agreement ? 0 : px_client_number(px, x) | 1;
}

/*
 * An observed request that was sent before is sent again under its Token, and a deregistration under that of the
 * registration, whose exchange ends with it [rfc7641#3.6]; when that is not possible, under another.
 */
enum osp_err
px_send_or_replace(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    struct px_exchange *old = x->ends ? px_observe_find(t->px, x->ends) : NULL;
    bool                keep = x->obs != NULL || x->subject != NULL;
    uint64_t            before = x->out || !old ? x->out : old->out;
    uint8_t             type = x->carries ? OSP_CON : x->type;  /* others wait for that */
    struct osp_request  how = { .type = type, .keep = keep, .deadline = x->deadline, .user = (uint64_t)(uintptr_t)x,
                                .instead_of = before, .client = type == OSP_CON ? px_asks_for(t->px, x) : 0 };
    enum osp_err        e = osp_ep_request(t->px->ep, &x->to, NULL, req, &how, t->now, t->tx, &x->out);

    if (before && (e == OSP_E_OVERLOAD || e == OSP_E_INVALID)) {
        how.instead_of = 0;
        e = osp_ep_request(t->px->ep, &x->to, NULL, req, &how, t->now, t->tx, &x->out);
        if (e == OSP_OK)
            osp_ep_cancel(t->px->ep, before);
    }
    if (e == OSP_OK && old)
        px_drop(t, old, OSP_OK);
    return e;
}

/* Sends the translated request to x->to, under the next hop's layer if there is one. */
void
px_send(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    bool         again = x->echo_tried || x->rekey_rounds || x->agreed_again || x->out;
    enum osp_err e = OSP_OK;

    if (x->hop_edhoc && px_agree(t, x, req))
        return;
    if (x->hop_ctx || x->leg) {
        struct osp_msg *plain = req;

        e = px_protect(t, x, &req);
        if (e == OSP_E_NO_LEASE && px_save(t->px, x, plain)) {
            px_wait_for_lease(t, x, x->leg ? x->leg : x->hop_ctx, PX_WAIT_LEASE_OUT);
            return;
        }
        if (e == OSP_E_NO_LEASE)
            e = OSP_E_NOMEM;
        if (e == OSP_E_REKEY) {
            px_rekey_wait(t, x, plain);
            return;
        }
        if (e == OSP_OK)
            px_count_key_use(t->px, x->added.ctx);
    } else if (x->has_added) {          /* it was sent under a layer before, which is only preferred */
        osp_layer_fini(&x->added);
        x->has_added = false;
    }
    if (e == OSP_OK)
        e = px_is_too_long(t->px, req) ? px_transfer_start(t, x, req) : px_send_or_replace(t, x, req);
    if (e != OSP_OK) {
        px_answer_error(t, x, e);
        return;
    }
    if (again)
        return; /* the same request */
    if (x->route)
        t->px->stats.forwarded_reverse++;
    else
        t->px->stats.forwarded_forward++;
}

/* The next hop has an address now. Guarded ones are refused here too: a name may lead anywhere. */
static void
send_to(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_ip *ip)
{
    x->to.ip = *ip;
    if (!px_ip_is_allowed(t->px, x, ip, x->to.port)) {
        px_answer_error(t, x, OSP_E_FORBIDDEN);
        return;
    }
    px_send(t, x, req);
}

static void
send_to_name(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, struct osp_slice host)
{
    const struct osp_host *row = px_host_of(x->policy, host);
    struct px_name        *name = NULL;
    struct osp_ip          ip;
    enum osp_err           e;

    if (row) {
        send_to(t, x, req, &row->ip);
        return;
    }
    e = px_name_find(t, host, &ip, &name);
    if (e == OSP_OK) {
        send_to(t, x, req, &ip);
    } else if (e != OSP_E_INCOMPLETE) {
        px_answer_error(t, x, e);
    } else if (!px_save(t->px, x, req)) {
        px_answer_error(t, x, OSP_E_NOMEM);
    } else {
        px_name_wait(t->px, name, x);
    }
}

void
px_forward(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_next_hop *hop)
{
    uint8_t                     classes[OSP_MSG_OPTS_MAX];
    static const struct osp_leg leg = { OSP_LEG_RELAY, true, true };
    enum osp_err                e = px_hop_limit(t, x, req);

    if (!px_observe_request(t, x, req, req->token))
        return;
    x->inner_oscore = osp_msg_has(req, OSP_OPT_OSCORE);
    if (!x->inner_oscore || !hop->single) {             /* [ocp#5.1] Q2 */
        x->hop_ctx = hop->ctx;
        if (e == OSP_OK && hop->edhoc)
            e = px_agree_with(t->px, x, hop->edhoc, &hop->to);
    }
    x->deadline = osp_time_after(t->now, x->policy->response_timeout_us);
    x->to.port = hop->to.port;
    req->token = OSP_EMPTY;
    if (e == OSP_OK && (x->hop_ctx || x->hop_edhoc))    /* before anything is asked of the network */
        e = osp_classes(&leg, req, classes);
    if (e == OSP_OK)
        e = px_loop_check(t, x, req, &hop->to);         /* before it waits for what waits for it */
    if (e == OSP_OK && px_cache_answers(t, x, req, &hop->to))
        return;
    if (e == OSP_OK)
        e = px_admit(t, x);
    if (e == OSP_OK)
        e = px_tag_request(t, x, req);
    if (e == OSP_OK && x->obs) {
        x = px_subject_join(t, x, req, &hop->to);
        if (!x)
            return;
    }
    if (e != OSP_OK)
        px_answer_error(t, x, e);
    else if (hop->to.is_ip)
        send_to(t, x, req, &hop->to.ip);
    else
        send_to_name(t, x, req, hop->to.host);
}
