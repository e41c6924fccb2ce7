/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message_3 of a session of ours in the first request under the new context [rfc9668#3.2].
 *
 *   message_2 came -> the first of those that wait is the carrier: its request goes out under the new context, with message_3
 *                     before its ciphertext
 *   the response verifies -> the session has succeeded; the context is there for all, and the others go on
 *   it does not know the option -> message_3 on its own, and the carrier waits again
 *   anything else, or nothing -> the session has failed
 *
 * Until then nobody else has the context: what overtook the carrier's request would be refused.  The session's own exchange has
 * nothing on its way meanwhile: it is parked, and ends with the carrier.
 */
#include "proxy/edhoc/agreement.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"

#define NUMBERS 1024            /* of a context that is not kept yet */
#define ROOM 128                /* bytes that a layer, the option and a Token add to a request */

/* What is known not to fit, or to be answered by others than the next hop, does not carry. */
static struct px_exchange *
choose_carrier(struct osp_proxy *px, struct px_agreement *a, size_t message_len)
{
    for (struct osp_list *n = a->waiters.waiters.next; n != &a->waiters.waiters; n = n->next) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, wait);
        size_t              most = osp_exchange_can(&px->transports, &x->to)->largest_message;

        if (!x->inner_oscore && !x->obs && x->kind->has_client && x->saved.n + message_len + ROOM <= most)
            return x;
    }
    return NULL;
}

static bool
keep_message(struct osp_proxy *px, struct px_agreement *a, struct osp_slice m)
{
    uint8_t *p = osp_pool_get(&px->pool, m.n);

    if (!p || !osp_slice_copy(m, p, m.n))
        return false;
    a->message_3 = osp_slice(p, m.n);
    return true;
}

bool
px_choose_carrier(struct px_turn *t, struct px_agreement *a, const struct px_finder *f, struct osp_slice c_r_and_message_3,
                  size_t c_r_len)
{
    struct px_exchange *x = NULL;

    if (a->up->edhoc->hop->combined && !a->no_combined)
        x = choose_carrier(t->px, a, c_r_and_message_3.n);
    if (!x || !keep_message(t->px, a, c_r_and_message_3))
        return false;
    if (px_edhoc_derive(a->session, f, a->purpose, &a->recipe) != OSP_OK) {
        px_agreement_uncarry(t->px, a);
        return false;
    }
    osp_octx_lend(a->recipe->octx, NUMBERS);
    a->c_r_len = c_r_len;
    a->carrier = x;
    px_wait(t->px, a->up, PX_WAIT_EDHOC, a->up->deadline);
    px_unpark(t->px, x);
    x->edhoc->carries = a;
    px_part_attach(x, PX_PART_CARRIED);
    px_current_drop(x);
    osp_octx_ref(x->current = a->recipe->octx);
    t->px->stats.combined++;
    px_send_at_once(t->px, x);
    return true;
}

/* The request may have been executed all the same: who says that it was not is unknown. */
bool
px_may_repeat(const struct px_exchange *x, const struct osp_msg *req)
{
    return x->inner_oscore || (req->code != OSP_POST && req->code != OSP_PATCH);
}

/* Steps 3 to 5, for a request that was just protected. */
enum osp_err
px_carry_message(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m)
{
    const struct px_agreement *a = x->edhoc->carries;
    size_t                     start = t->scratch.n;

    osp_wr_put(&t->scratch, osp_slice_tail(a->message_3, a->c_r_len));
    osp_wr_put(&t->scratch, m->payload);
    if (osp_wr_bad(&t->scratch))
        return OSP_E_NOSPACE;
    m->payload = osp_slice_tail(osp_wr_slice(&t->scratch), start);
    return osp_msg_add(m, OSP_OPT_EDHOC, OSP_EMPTY);
}

void
px_carrier_ended(struct osp_proxy *px, struct px_exchange *x)
{
    struct osp_time at_once = { 0 };

    osp_timer_set(&px->patience, &x->edhoc->carries->up->patience, at_once);
    x->edhoc->carries->carrier = NULL;
    x->edhoc->carries = NULL;
}

void
px_combined_verified(struct px_turn *t, struct px_exchange *x)
{
    struct px_agreement *a = x->edhoc->carries;
    struct osp_recipe   *m = a->recipe;
    enum osp_err         e;

    a->recipe = NULL;
    e = osp_policy_trusts(t->px->policy, osp_octx_label(m->octx)) ? OSP_OK : OSP_E_EDHOC_NO_CRED;
    if (e != OSP_OK)
        osp_recipe_free(m);
    else
        e = px_edhoc_put_context(t, t->px->policy, m, true);
    if (e != OSP_OK)
        t->px->stats.errors[e]++;
    px_agreement_finish(t, a, e);
}

/* [rfc7252#5.4.1] a critical option that is not known, so that nothing of the request was looked at */
static bool
knows_it_not(const struct osp_msg *resp)
{
    return resp->code == OSP_CODE(4, 2);
}

/*
 * In the same session: message_3 is what it was, and so are the keys.  The context stays: deriving it anew would give the
 * Partial IV of the carrier's request to another one [rfc8613#7.2.1].
 */
static enum osp_err
go_on_in_sequence(struct px_turn *t, struct px_agreement *a)
{
    enum osp_err e;

    a->no_combined = true;
    px_agreement_let_carrier_go(a);
    px_unpark(t->px, a->up);
    e = px_agreement_keep(t, a->up, a->message_3);
    px_agreement_forget_message(t->px, a);
    if (e == OSP_OK)
        px_send_at_once(t->px, a->up);
    return e;
}

/* The carrier's request once more, when there is a context, or for what it means that there is none. */
static enum px_step
try_again(struct px_turn *t, struct px_exchange *x)
{
    px_current_drop(x);
    osp_layer_fini(&x->added);
    x->has_added = false;
    if (!px_restore(x, &t->px->a))
        return px_fail(t, OSP_E_NOMEM);
    if (!px_may_repeat(x, &t->px->a))
        return px_fail(t, OSP_E_NOT_AGREED);
    t->out = &t->px->a;
    return PX_SEND;
}

enum px_step
px_combined_response(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    struct px_agreement *a = px_has_part(x, PX_PART_CARRIED) ? x->edhoc->carries : NULL;
    enum osp_err         e = OSP_E_EDHOC_REFUSED;

    if (!a || osp_msg_has(resp, OSP_OPT_OSCORE))
        return PX_GO_ON;
    if (knows_it_not(resp))
        e = go_on_in_sequence(t, a);
    if (e != OSP_OK)
        px_agreement_fail(t, a->up, e);
    return try_again(t, x);
}
