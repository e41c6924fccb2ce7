/* SPDX-License-Identifier: BSD-2-Clause */
/* Exchanges that were parked go on, or are given up: what each kind of wait leads to. */
#include "proxy/impl.h"

static void
send_saved(struct px_turn *t, struct px_exchange *x)
{
    if (px_restore(x, &t->px->a))
        px_send(t, x, &t->px->a);
    else
        px_answer_error(t, x, OSP_E_NOMEM);
}

/* The ask may have found no room, or its answer got lost: an exchange ends all the same. */
void
px_give_up(struct px_turn *t, struct px_exchange *x)
{
    enum px_wait was = x->state;
    bool         answer_late = was == PX_WAIT_NAME || was == PX_WAIT_FLIGHT || was == PX_WAIT_EDHOC;

    px_unpark(t->px, x);
    if (was == PX_WAIT_REKEY && !osp_time_due(x->deadline, t->now))
        send_saved(t, x);       /* it may be there now */
    else if (was == PX_WAIT_LEASE_NOTIFY)
        px_observe_release(t, x, false);
    else
        px_answer_error(t, x, answer_late ? OSP_E_TIMEOUT : was == PX_WAIT_REKEY ? OSP_E_REKEY : OSP_E_NO_LEASE);
}

/* It has an address now, or an error. */
static void
go_on_resolved(struct px_turn *t, struct px_exchange *x)
{
    if (x->resolved != OSP_OK)
        px_answer_error(t, x, x->resolved);
    else if (!px_ip_is_allowed(t->px, x, &x->to.ip, x->to.port))       /* where the name leads counts, not only the name */
        px_answer_error(t, x, OSP_E_FORBIDDEN);
    else
        send_saved(t, x);
}

/* What finds no number again is refused, not parked for ever. */
static void
go_on_leased(struct px_turn *t, struct px_exchange *x, enum px_wait was)
{
    struct osp_ssn ssn = osp_octx_ssn(x->lease_ctx);

    if (was == PX_WAIT_LEASE_NOTIFY)
        px_observe_release(t, x, ssn.next < ssn.limit);
    else if (ssn.next >= ssn.limit)
        px_answer_error(t, x, OSP_E_NO_LEASE);
    else if (was == PX_WAIT_LEASE_CHALLENGE)
        px_challenge(t, x);
    else
        send_saved(t, x);
}

/* More may have waited for one event than the queue holds: what finds no room stays ready. */
bool
px_go_on(struct osp_proxy *px, struct osp_time now, struct osp_txq *tx)
{
    struct osp_list *n;

    while ((n = osp_list_first(&px->ready)) != NULL) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, wait);
        struct px_turn      t = px_turn_begin(px, now, tx);
        enum px_wait        was = x->state;

        if (osp_txq_is_low(tx, 2, px->cfg.ep.max_datagram))
            return false;
        px_unpark(px, x);
        if (was == PX_WAIT_NAME)
            go_on_resolved(&t, x);
        else if (was == PX_WAIT_FLIGHT)
            px_flight_go_on(&t, x);
        else if (was == PX_WAIT_EDHOC)
            send_saved(&t, x);
        else
            go_on_leased(&t, x, was);
    }
    return true;
}
