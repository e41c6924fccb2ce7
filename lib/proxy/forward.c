/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of a request that is to be forwarded, up to where its next hop has an address; px_forward() is their list. */
#include "proxy/access/access.h"
#include "proxy/account.h"
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"
#include "proxy/steps.h"

static const struct osp_layer_ends relay = { OSP_LAYER_RELAY, true, true };

/* What its Observe option asks for: an observation begins, or ends. */
static enum px_step
observe(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    struct px_wish wish;

    if (!px_observe_wish(t, x, req, &wish))
        return PX_GO_ON;
    if (wish.registers && !px_may_observe(t, x))        /* before what the real client observes is touched */
        return PX_PROVE;
    px_observe_grant(t, x, req, &wish);
    return PX_GO_ON;
}

/* The layer that the next hop needs, and whether it can be put on: before anything is asked of the network. */
static enum px_step
choose_layer(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, const struct osp_next_hop *hop)
{
    uint8_t      classes[OSP_MSG_OPTS_MAX];
    enum osp_err e = OSP_OK;

    x->inner_oscore = osp_msg_has(req, OSP_OPT_OSCORE);
    if (!x->inner_oscore || !hop->single) {             /* [ocp#5.1] Q2 */
        x->hop_ctx = hop->ctx;
        if (hop->edhoc)
            e = px_note_hop(t->px, x, hop->edhoc, &hop->to);
    }
    if (e == OSP_OK && (x->hop_ctx || x->edhoc))
        e = osp_classes(&relay, req, classes);
    return px_judge(t, e);
}

/*
 * True if `up` leads to where `x` would have led, also under a policy of another time.  While its address is not known the rule
 * that will judge it has to be the same.
 */
static bool
is_allowed_like(struct osp_proxy *px, const struct px_exchange *up, const struct px_exchange *x)
{
    return osp_ip_is_any(&up->to.ip) ? up->rule == x->rule : px_ip_is_allowed(px, x, &up->to.ip, up->to.port);
}

/* An observation shares the registration upstream with equal ones; *x is the exchange that goes on. */
static enum px_step
merge(struct px_turn *t, struct px_exchange **x, const struct osp_msg *req, const struct osp_authority *to)
{
    struct osp_cache_key key;
    struct px_interest   what;
    struct px_subject   *s;

    if (!(*x)->obs || !px_subject_may_merge(req) || !px_key_make(t, *x, req, to, &key) || !px_interest_of(t, req, &key, &what))
        return PX_GO_ON;
    s = px_subject_next(t->px, &what, *x, NULL);
    while (s && !is_allowed_like(t->px, s->up, *x))
        s = px_subject_next(t->px, &what, *x, s);
    if (s) {
        px_subject_join(t, s, *x);
        px_catch_up(t, *x);
        return PX_DONE;
    }
    s = px_subject_new(t, *x, req, &key, &what);
    if (s)
        *x = s->up;
    return PX_GO_ON;
}

/* [rfc7252#5.7.1] where the name leads, if that is known by now; else the request waits for it. */
static enum px_step
resolve(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to)
{
    const struct osp_host *row = to->is_ip ? NULL : px_host_of(x->policy, to->host);
    struct px_name        *name = NULL;
    enum osp_err           e = OSP_OK;

    if (to->is_ip)
        x->to.ip = to->ip;
    else if (row)
        x->to.ip = row->ip;
    else
        e = px_name_find(t, to->host, &x->to.ip, &name);
    if (e != OSP_E_INCOMPLETE)
        return px_judge(t, e);
    if (!px_save(t->px, x, req))
        return px_fail(t, OSP_E_NOMEM);
    px_name_wait(t->px, name, x);
    return PX_DONE;
}

/* Guarded addresses are refused here too: a name may lead anywhere. */
static enum px_step
guard(struct px_turn *t, const struct px_exchange *x)
{
    return px_judge(t, px_ip_is_allowed(t->px, x, &x->to.ip, x->to.port) ? OSP_OK : OSP_E_FORBIDDEN);
}

void
px_forward(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_next_hop *hop)
{
    enum px_step v = observe(t, x, req);

    x->deadline = osp_time_after(t->now, x->policy->response_timeout_us);
    x->to.port = hop->to.port;
    x->to.transport = (uint8_t)osp_scheme_transport(hop->to.scheme);
    req->token = OSP_EMPTY;
    if (v == PX_GO_ON)
        v = px_judge(t, px_hop_limit(t, x, req));
    if (v == PX_GO_ON)
        v = choose_layer(t, x, req, hop);
    if (v == PX_GO_ON)
        v = px_judge(t, px_loop_check(t, x, req, &hop->to));    /* before it waits for what waits for it */
    if (v == PX_GO_ON)
        v = px_cache_answers(t, x, req, &hop->to);
    if (v == PX_GO_ON)
        v = px_judge(t, px_admit(t, x));
    if (v == PX_GO_ON)
        v = px_judge(t, px_tag_request(t, x, req));
    if (v == PX_GO_ON)
        v = merge(t, &x, req, &hop->to);
    if (v == PX_GO_ON)
        v = resolve(t, x, req, &hop->to);
    if (v == PX_GO_ON)
        v = guard(t, x);
    if (v == PX_GO_ON)
        px_send(t, x, req);
    else
        px_conclude(t, x, v);
}
