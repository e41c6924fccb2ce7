/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the next hop, as a transport takes them: below the flow and its rooms. */
#include "proxy/exchange.h"
#include "proxy/request.h"

/* For whom a confirmable request goes upstream (osp_request.client): 0 for what the proxy itself needs or for several clients */
uint64_t
px_asks_for(const struct osp_proxy *px, const struct px_exchange *x)
{
    struct px_client c = px_client_of(x);

    return x->kind->has_client ? px_client_share(px, &c, false) | 1 : 0;
}

/*
 * An observed request that was sent before is sent again under its Token, and a deregistration under the Token of the
 * registration, whose exchange ends with it [rfc7641#3.6]; when that is not possible, under another.
 */
enum osp_err
px_request(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    struct px_exchange *old = x->ends ? px_exchange_find(t->px, x->ends) : NULL;
    bool                keep = x->obs != NULL || x->subject != NULL;
    uint64_t            before = x->out || !old ? x->out : old->out;
    bool                confirmable = px_has_part(x, PX_PART_CARRIED) || x->confirmable;     /* others wait for what it carries */
    struct osp_request  how = { .confirmable = confirmable, .keep = keep, .deadline = x->deadline,
                                .user = (uint64_t)(uintptr_t)x, .instead_of = before,
                                .client = confirmable ? px_asks_for(t->px, x) : 0 };
    enum osp_err        e = osp_exchange_request(&t->px->transports, &x->to, req, &how, t->now, &x->out);

    if (before && (e == OSP_E_OVERLOAD || e == OSP_E_INVALID)) {
        how.instead_of = 0;
        e = osp_exchange_request(&t->px->transports, &x->to, req, &how, t->now, &x->out);
        if (e == OSP_OK)
            osp_exchange_cancel(&t->px->transports, before);
    }
    if (e == OSP_OK && old)
        px_drop(t, old, OSP_OK);
    return e;
}
