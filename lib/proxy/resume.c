/* SPDX-License-Identifier: BSD-2-Clause */
/* Exchanges that were parked go on, or are given up: what each kind of wait leads to. */
#include "proxy/access/access.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"
#include "proxy/steps.h"

/* A notification had no sequence number; *leased*: there is one now. */
static void
release_notification(struct px_turn *t, struct px_exchange *x, bool leased)
{
    if (leased && x->obs->subject && !osp_stored_has(&x->obs->held))
        px_deliver(t, x);       /* the newest, which its subject has */
    else
        px_conclude(t, x, px_observe_release(t, x, leased));
}

/* The ask may have found no room, or its answer got lost: an exchange ends all the same. */
void
px_give_up(struct px_turn *t, struct px_exchange *x)
{
    enum px_wait was = x->state;
    bool         answer_late = was == PX_WAIT_NAME || was == PX_WAIT_FLIGHT || was == PX_WAIT_EDHOC;

    px_unpark(t->px, x);
    if (was == PX_WAIT_REKEY && !osp_time_due(x->deadline, t->now))
        px_conclude(t, x, px_send_saved(t, x));         /* it may be there now */
    else if (was == PX_WAIT_LEASE_NOTIFY)
        release_notification(t, x, false);
    else
        x->kind->failed(t, x, answer_late ? OSP_E_TIMEOUT : was == PX_WAIT_REKEY ? OSP_E_REKEY : OSP_E_NO_LEASE);
}

/* Where a name leads counts, not only the name. */
static enum px_step
send_where_allowed(struct px_turn *t, struct px_exchange *x)
{
    return px_ip_is_allowed(t->px, x, &x->to.ip, x->to.port) ? px_send_saved(t, x) : px_fail(t, OSP_E_FORBIDDEN);
}

/* It has an address now, or an error. */
static enum px_step
resolved(struct px_turn *t, struct px_exchange *x)
{
    return x->resolved == OSP_OK ? send_where_allowed(t, x) : px_fail(t, x->resolved);
}

/* The leader's exchange has ended: the cache may have the answer, also if it was no answer for the leader. */
static enum px_step
landed(struct px_turn *t, struct px_exchange *x)
{
    enum px_step v = px_restore(x, &t->px->a) ? px_cache_has(t, x, &t->px->a) : px_fail(t, OSP_E_NOMEM);

    if (v != PX_GO_ON)
        return v;
    if (osp_err_class(x->resolved) == OSP_CLASS_UPSTREAM) {
        t->why = x->resolved;
        return PX_FAIL_UPSTREAM;
    }
    if (osp_ip_is_any(&x->to.ip))       /* the leader did not get as far as to know where */
        return px_fail(t, x->resolved == OSP_OK ? OSP_E_OVERLOAD : x->resolved);
    return send_where_allowed(t, x);
}

/* What finds no number again is refused, not parked for ever. */
static void
leased(struct px_turn *t, struct px_exchange *x, enum px_wait was)
{
    struct osp_ssn ssn = osp_octx_ssn(x->lease_ctx);
    bool           has = ssn.next < ssn.limit;

    if (was == PX_WAIT_LEASE_NOTIFY)
        release_notification(t, x, has);
    else if (has && was == PX_WAIT_LEASE_CHALLENGE)
        px_challenge(t, x);
    else
        px_conclude(t, x, has ? px_send_saved(t, x) : px_fail(t, OSP_E_NO_LEASE));
}

static void
go_on(struct px_turn *t, struct px_exchange *x, enum px_wait was)
{
    switch (was) {
    case PX_WAIT_NAME:
        px_conclude(t, x, resolved(t, x));
        break;
    case PX_WAIT_FLIGHT:
        px_conclude(t, x, landed(t, x));
        break;
    case PX_WAIT_LEASE_OUT:
    case PX_WAIT_LEASE_CHALLENGE:
    case PX_WAIT_LEASE_NOTIFY:
        leased(t, x, was);
        break;
    case PX_WAIT_EDHOC:
    case PX_WAIT_REKEY:
    case PX_RUNNING:
        px_conclude(t, x, px_send_saved(t, x));
        break;
    }
}

/* More may have waited for one event than the queue holds: what finds no room stays ready. */
bool
px_go_on(struct osp_proxy *px, struct osp_time now)
{
    struct osp_list *n;

    while ((n = osp_list_first(&px->ready)) != NULL) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, wait);
        struct px_turn      t = px_turn_begin(px, now);
        enum px_wait        was = x->state;

        if (!osp_exchange_has_room(&px->transports, 2))
            return false;
        px_unpark(px, x);
        go_on(&t, x, was);
        px_send_what_is_due(px, now);
    }
    return true;
}
