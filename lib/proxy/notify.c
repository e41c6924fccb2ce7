/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What observe/ says is to be sent, is sent here: the newest to the observers of a subject, registrations again, and
 * deregistrations.
 */
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"
#include "proxy/flow.h"
#include "proxy/observe/observe.h"
#include "proxy/steps.h"

#define DELIVER_PER_CALL 128

/*
 * Tells the next hop that nobody is interested any more.  Where that is not possible the registration is forgotten, and
 * the next notification answered with a Reset.  [rfc7641#3.6]
 */
static void
deregister(struct px_turn *t, struct px_exchange *up)
{
    struct osp_request how = { .confirmable = true, .instead_of = up->out };
    struct osp_msg    *req = &t->px->a;
    uint8_t            value[4];
    uint64_t           handle;

    if (!up->out || !px_restore(up, req) || (up->has_added && !up->hop_ctx && !up->current))    /* nothing of it in the clear */
        return;
    osp_msg_remove(req, OSP_OPT_ECHO);
    osp_msg_remove(req, OSP_OPT_OBSERVE);
    if (osp_msg_add(req, OSP_OPT_OBSERVE, osp_opt_uint_make(OSP_OBSERVE_DEREGISTER, value)) != OSP_OK)
        return;
    if ((up->hop_ctx || up->current) && px_protect(t, up, &req) != OSP_OK)
        return;
    how.deadline = osp_time_after(t->now, up->policy->response_timeout_us);
    if (osp_exchange_request(&t->px->transports, &up->to, req, &how, t->now, &handle) == OSP_OK)
        up->out = 0;            /* its handle has ended; what comes back is for nobody */
}

/* ---- to the observers ---- */

void
px_deliver(struct px_turn *t, struct px_exchange *x)
{
    struct px_observation *o = x->obs;
    struct px_subject     *s = o->subject;
    enum osp_err           e = s->why;

    px_subject_is_told(o);
    if (e == OSP_OK && !px_subject_compose(t, s, &t->px->a))
        e = OSP_E_NOMEM;
    if (e == OSP_OK)
        e = px_location_back(t, x->route, &t->px->a);
    if (e != OSP_OK) {
        px_answer_error(t, x, e);
        return;
    }
    x->notify = !s->ended;
    x->notify_con = px_observe_confirms(o, s->con, t->now);
    t->px->stats.notifications += x->notify;
    px_answer(t, x, &t->px->a);
}

/* To those who are late, as many as there is room for; true: to all. */
static bool
fan_out(struct osp_proxy *px, struct osp_time now, struct px_subject *s, unsigned *left)
{
    struct px_observation *o;

    while ((o = px_subject_next_late(s)) != NULL) {
        struct px_turn t = px_turn_begin(px, now);

        if (*left == 0 || !osp_exchange_has_room(&px->transports, 2))
            return false;
        (*left)--;
        if (o->x->state == PX_RUNNING)
            px_deliver(&t, o->x);
        else                    /* it waits for a number, and will get the newest then */
            px_subject_is_told(o);
    }
    return true;
}

bool
px_notify(struct osp_proxy *px, struct osp_time now)
{
    unsigned         left = DELIVER_PER_CALL;
    struct osp_list *n;

    while ((n = osp_list_first(&px->running)) != NULL) {
        struct px_subject *s = OSP_CONTAINER(n, struct px_subject, run);
        bool               all = fan_out(px, now, s, &left) && osp_exchange_has_room(&px->transports, 2);

        osp_list_remove(&s->run);
        if (!all) {             /* the others come first when it goes on */
            osp_list_push(&px->running, &s->run);
            return false;
        }
        if (osp_list_empty(&s->fans)) {
            struct px_turn t = px_turn_begin(px, now);

            if (s->up)
                deregister(&t, s->up);
            px_subject_free(px, s);
        }
    }
    return true;
}

/* ---- upstream ---- */

/* What cannot be sent now is tried at the next time, what fails ends it. */
static void
renew(struct px_turn *t, struct px_subject *s)
{
    if (!px_subject_renew(t, s))
        return;
    px_forget_context(s->up);
    px_send(t, s->up, &t->px->a);
}

void
px_catch_up(struct px_turn *t, struct px_exchange *x)
{
    struct px_subject *s = x->obs->subject;

    if (px_subject_is_fresh(s, t->now)) {
        s->version++;           /* it may be here again, and count on larger numbers [rfc7641#4.4] */
        px_deliver(t, x);
    } else if (osp_stored_has(&s->newest)) {
        renew(t, s);
    }
}

void
px_registration_failed(struct px_turn *t, struct px_exchange *up, enum osp_err why)
{
    struct px_subject *s = up->subject;

    if (t->px->aborting) {
        deregister(t, up);
    } else if (px_subject_outlives(s, why)) {
        renew(t, s);
        return;
    }
    px_subject_end(t, s, why);
}

bool
px_renew_next(struct osp_proxy *px, struct osp_time now)
{
    struct px_subject *s = px_subject_due(px, now);
    struct px_turn     t = px_turn_begin(px, now);

    if (!s)
        return false;
    if (!s->asking)
        renew(&t, s);
    else if (!osp_time_due(s->up->deadline, now))
        px_subject_look_again(px, s, s->up->deadline);
    else
        px_registration_failed(&t, s->up, OSP_E_TIMEOUT);  /* something came, but no answer that counts */
    return true;
}

enum px_step
px_registration_response(struct px_turn *t, struct px_exchange *up, struct osp_msg *resp)
{
    struct px_subject *s = up->subject;
    struct px_news     news;
    enum osp_err       e;

    if (px_is_out_of_use(up) && px_subject_ignores(t, s)) {
        if (!up->edhoc)     /* a reload took it away; the observers may register again under what is configured now */
            return px_fail(t, OSP_E_NOT_AGREED);
        renew(t, s);            /* under the one that is in use now, if there may be one */
        return PX_DONE;
    }
    if (!px_subject_is_news(t, s, resp))
        return PX_DONE;
    news = px_subject_news(t, s, resp);
    e = px_cache_take(t, up, &resp);
    return e == OSP_OK && (e = px_subject_take(t, s, resp, &news)) == OSP_OK ? PX_DONE : px_fail(t, e);
}
