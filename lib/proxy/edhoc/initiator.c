/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EDHOC as the Initiator, for legs whose context is established when it is needed [rfc9528#A.2] [ocp#5.1].
 *
 *   a request for such a leg --- the runtime table has a context that leads there? ----> the layer goes on
 *                             \--- no: a session with the next hop; the request waits, and all that come meanwhile
 *
 * A session is an exchange without a client.  Its place is an agreement, of which there is one for each address and name in the
 * configuration: one session at a time, waiting requests within bounds, and after a failure nothing for a while.  The context
 * itself is not here: it is in the runtime table under its purpose, so that it serves all workers.  The daemon keeps it as soon
 * as something verified under it [rfc9528#5.4.2].  A context near a limit of its keys is renewed while it is still used; one
 * that the next hop says it lost stays until there is another, and nothing goes in the clear where there is one.
 */
#include "proxy/edhoc/agreement.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"

#define WAITING_MAX 1024        /* requests at one agreement */
#define PAUSE_MAX_S 300         /* the longest pause, where the next hop says when to try again */
#define SESSION_US OSP_SEC(100)     /* a session takes no longer: two confirmable requests [rfc7252#4.8.2] */
#define RUN_PREFER_US OSP_SEC(10)       /* how long a session may take for requests that can go without a context */
#define SESSIONS_AWAITED_MAX 2      /* by one request */
#define RESTARTS_MAX 2          /* with another suite [rfc9528#6.3] */

/* ---- messages ---- */

/*
 * The profile is the one of the policy under which the session began. Who is trusted, the policy of now says, which has EDHOC.
 * [rfc9528#5.5] message_4 would tell no more than the first response under the new keys: it is taken where it comes, and not
 * insisted on.
 */
static struct osp_edhoc_profile
profile_of(const struct px_turn *t, struct px_finder *f, const struct px_exchange *up)
{
    struct osp_edhoc_profile p = px_edhoc_profile(f, up->policy, t->px->policy);

    f->subject = px_subject_of(up);
    p.subject = &f->subject;
    p.has_message_4 = true;
    return p;
}

static enum osp_err
make_1(struct px_turn *t, struct px_agreement *a)
{
    const struct osp_edhoc_conf *c = a->up->policy->edhoc;
    struct px_finder             f = { 0 };
    struct osp_edhoc_profile     profile = profile_of(t, &f, a->up);
    uint8_t                      bytes[OSP_EDHOC_MESSAGE_MAX + 1], seed[32];
    struct osp_wr                w = osp_wr_to(bytes, sizeof(bytes));
    enum osp_err                 e;

    osp_edhoc_init(a->session, OSP_EDHOC_INITIATOR, &profile, t->px->crypto, osp_responder_now_s(c->responder, t->now));
    osp_randbuf_take(&t->px->rand, seed, sizeof(seed));
    osp_wr_u8(&w, 0xf5);        /* true: a new session */
    e = osp_edhoc_make_message_1(a->session, a->up->edhoc->hop->method, a->suite, seed, osp_slice(a->c_i.bytes, a->c_i.len),
                                 OSP_EMPTY, &w);
    osp_wipe(seed, sizeof(seed));
    return e == OSP_OK ? px_agreement_keep(t, a->up, osp_wr_slice(&w)) : e;
}

/* Begins a session for what `x` wants to reach. */
static enum osp_err
begin(struct px_turn *t, struct px_agreement *a, const struct px_exchange *x)
{
    struct px_exchange *up = NULL;
    struct osp_edhoc   *s = NULL;
    enum osp_err        e;

    if (!t->px->policy->edhoc)          /* a reload has put an end to it: nobody is trusted any more */
        return OSP_E_EDHOC_NO_CRED;
    up = px_exchange_branch(t->px, x, &px_session_kind);
    s = osp_pool_get(&t->px->pool, sizeof(*s));
    if (!up || !s || !px_edhoc_choose_id(t, x->policy, OSP_EMPTY, &a->c_i)) {
        if (up)
            px_exchange_end(t->px, up);
        osp_pool_put(&t->px->pool, s, sizeof(*s));
        return OSP_E_OVERLOAD;
    }
    *s = (struct osp_edhoc){ 0 };
    up->hop_ctx = NULL;
    up->edhoc->agreement = a;
    up->deadline = osp_time_after(t->now, x->edhoc->hop->prefer ? RUN_PREFER_US : SESSION_US);
    a->up = up;
    a->session = s;
    a->suite = x->policy->edhoc->profile.suites.value[0];
    a->restarts = 0;
    a->pause_us = 0;
    a->echo_tried = a->asked_3 = false;
    e = make_1(t, a);
    if (e == OSP_OK)
        px_send_at_once(t->px, up);
    else
        px_exchange_end(t->px, up);
    return e;
}

/* The other side is told why, once, and whether it hears it does not matter. */
static void
send_error(struct px_turn *t, struct px_agreement *a, enum osp_err why)
{
    struct osp_request how = { .deadline = osp_time_after(t->now, OSP_SEC(1)) };
    uint8_t            bytes[512];
    struct osp_wr      w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_msg    *m = &t->px->a;
    uint64_t           handle;

    osp_edhoc_cid_put(&w, osp_edhoc_c_r(a->session));
    if (osp_edhoc_make_error(a->session, &w) != OSP_OK && osp_edhoc_put_error(&w, why) != OSP_OK)
        return;
    if (!osp_stored_get(&a->up->saved, m))
        return;
    m->payload = osp_wr_slice(&w);
    if (osp_exchange_request(&t->px->transports, &a->up->to, m, &how, t->now, &handle) == OSP_OK)
        osp_exchange_cancel(&t->px->transports, handle);
}

static enum px_step
send_kept(struct px_turn *t, const struct px_agreement *a, enum osp_err e)
{
    return e == OSP_OK ? px_send_saved(t, a->up) : px_fail(t, e);
}

static enum px_step
on_message_2(struct px_turn *t, struct px_agreement *a, const struct px_finder *f, struct osp_slice message)
{
    size_t                      c_r_len = 0;
    uint8_t                     bytes[OSP_EDHOC_MESSAGE_MAX + OSP_EDHOC_CID_MAX + 1];
    struct osp_wr               w = osp_wr_to(bytes, sizeof(bytes));
    enum osp_err                e = osp_edhoc_take_message_2(a->session, message, NULL);
    const struct osp_edhoc_who *who = osp_edhoc_who(a->session);

    if (e == OSP_OK && !px_is_wanted(a->up, who->label, who->by_chain))
        e = OSP_E_EDHOC_NAME;   /* somebody we trust, but not the one that is meant */
    if (e == OSP_OK)
        osp_edhoc_cid_put(&w, osp_edhoc_c_r(a->session));
    c_r_len = w.n;
    if (e == OSP_OK)
        e = osp_edhoc_make_message_3(a->session, OSP_EMPTY, &w);
    if (e != OSP_OK) {          /* [rfc9528#5.3.3] */
        send_error(t, a, e);
        return px_fail(t, e);
    }
    a->asked_3 = true;
    if (px_choose_carrier(t, a, f, osp_wr_slice(&w), c_r_len))
        return PX_DONE;
    return send_kept(t, a, px_agreement_keep(t, a->up, osp_wr_slice(&w)));
}

/* [rfc9528#6.3] another suite, of those the next hop named */
static enum px_step
on_error(struct px_turn *t, struct px_agreement *a, const struct osp_msg *resp)
{
    struct osp_edhoc_error err;
    enum osp_err           e = osp_edhoc_take_error(a->session, resp->payload, &err);

    if (e != OSP_OK || err.code != OSP_EDHOC_ERR_SUITE || a->asked_3 || a->restarts++ >= RESTARTS_MAX)
        return px_fail(t, OSP_E_EDHOC_REFUSED);
    e = osp_edhoc_suite_choose(&a->up->policy->edhoc->profile.suites, &err.suites_r, &a->suite);
    return send_kept(t, a, e == OSP_OK ? make_1(t, a) : e);
}

/* [rfc9528#A.2] [rfc9175#2.3] it wants to know that our address is ours: the same message again, with the Echo */
static enum px_step
on_echo(struct px_turn *t, struct px_agreement *a, const struct osp_opt *echo)
{
    struct osp_msg *m = &t->px->a;      /* `echo` may be one of its options */
    size_t          n = echo->val.n;
    uint8_t        *copy = osp_wr_reserve(&t->scratch, n + 1);

    if (a->echo_tried || !copy || !osp_slice_copy(echo->val, copy, n) || !px_restore(a->up, m))
        return px_fail(t, OSP_E_EDHOC_REFUSED);
    a->echo_tried = true;
    if (osp_msg_add(m, OSP_OPT_ECHO, osp_slice(copy, n)) != OSP_OK)
        return px_fail(t, OSP_E_NOSPACE);
    t->out = m;
    return PX_SEND;
}

static bool
is_edhoc_format(const struct osp_msg *resp)
{
    const struct osp_opt *o = osp_msg_get(resp, OSP_OPT_CONTENT_FORMAT);
    uint32_t              v = 0;

    return o && osp_opt_uint(o->val, &v) && v == OSP_FORMAT_EDHOC;
}

/* The session is complete; with message_4 it is known that the other side has the keys, too. */
static enum osp_err
complete(struct px_turn *t, struct px_agreement *a, const struct px_finder *f, const struct osp_msg *resp)
{
    bool         confirmed = resp->payload.n > 0;
    enum osp_err e = confirmed ? osp_edhoc_take_message_4(a->session, resp->payload, NULL) : OSP_OK;

    if (e == OSP_OK && !osp_policy_trusts(t->px->policy, osp_edhoc_who(a->session)->label))
        e = OSP_E_EDHOC_NO_CRED;
    if (e != OSP_OK) {
        send_error(t, a, e);
        return e;
    }
    if (a->recipe) {              /* a request went out in it already: with its numbers */
        struct osp_recipe *m = a->recipe;

        a->recipe = NULL;
        return px_edhoc_put_context(t, f->policy, m, confirmed);
    }
    return px_edhoc_make_context(t, a->session, f, a->purpose, confirmed);      /* what was agreed on leads there */
}

/* It has no time for us now. */
static enum px_step
on_unavailable(struct px_turn *t, struct px_agreement *a, const struct osp_msg *resp)
{
    const struct osp_opt *o = osp_msg_get(resp, OSP_OPT_MAX_AGE);
    uint32_t              s = 0;

    if (o && osp_opt_uint(o->val, &s))
        a->pause_us = OSP_SEC(s < PAUSE_MAX_S ? s : PAUSE_MAX_S);
    return px_fail(t, OSP_E_EDHOC_REFUSED);
}

static enum px_step
on_answer_to_3(struct px_turn *t, struct px_agreement *a, const struct px_finder *f, const struct osp_msg *resp)
{
    enum osp_err e = complete(t, a, f, resp);

    if (e != OSP_OK)
        return px_fail(t, e);
    px_agreement_finish(t, a, OSP_OK);
    return PX_DONE;
}

enum px_step
px_session_response(struct px_turn *t, struct px_exchange *up, struct osp_msg *resp)
{
    struct px_agreement     *a = up->edhoc->agreement;
    const struct osp_opt    *echo = osp_msg_get(resp, OSP_OPT_ECHO);
    struct px_finder         f = { 0 };
    struct osp_edhoc_profile profile;

    if (!t->px->policy->edhoc)
        return px_fail(t, OSP_E_EDHOC_NO_CRED);
    profile = profile_of(t, &f, up);
    osp_edhoc_attach(a->session, &profile, t->px->crypto);
    if (OSP_CODE_CLASS(resp->code) == 2)
        return a->asked_3 ? on_answer_to_3(t, a, &f, resp) : on_message_2(t, a, &f, resp->payload);
    if (resp->code == OSP_CODE(4, 1) && echo)
        return on_echo(t, a, echo);
    if (resp->code == OSP_CODE(5, 3))
        return on_unavailable(t, a, resp);
    if (is_edhoc_format(resp))
        return on_error(t, a, resp);
    return px_fail(t, OSP_E_EDHOC_REFUSED);     /* no such resource, or no such thing at all */
}

/* [rfc9528#5.4.2] from now on it may be written down, if a reload has not taken the trust away: it did not see this one */
void
px_agreement_verified(struct px_turn *t, struct px_exchange *x)
{
    struct osp_recipe *m;

    if (px_has_part(x, PX_PART_CARRIED)) {
        px_combined_verified(t, x);
        return;
    }
    m = x->edhoc ? osp_octx_runtime_confirm(x->policy->runtime, x->added.ctx) : NULL;
    if (!m)
        return;
    if (!osp_policy_trusts(t->px->policy, osp_octx_label(m->octx)))
        (void)osp_octx_runtime_remove(x->policy->runtime, m->octx);
    else if (px_keep_recipe(t->px, m) == OSP_OK)
        return;
    osp_recipe_free(m);
}

/* ---- requests ---- */

/*
 * No context: what the configuration says about that.  Where there is one, if only one of no use, nothing goes in the clear:
 * or whoever can disturb the session could have that.
 */
static enum px_step
without(struct px_turn *t, struct px_exchange *x, enum osp_err why)
{
    enum osp_err e = osp_err_class(why) == OSP_CLASS_LOCAL ? why : OSP_E_NOT_AGREED;

    if (x->edhoc->hop->prefer && !x->current)
        return PX_GO_ON;
    t->why = e;
    return PX_FAIL_UPSTREAM;
}

static enum px_step
wait(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, struct px_agreement *a)
{
    if (a->waiters.count >= WAITING_MAX || !px_save(t->px, x, req))
        return px_fail(t, OSP_E_OVERLOAD);
    x->edhoc->sessions_awaited++;
    px_wait_in(t->px, x, PX_WAIT_EDHOC, &a->waiters);
    return PX_DONE;
}

/* Begins a session, unless there is one, or was one not long ago that failed. */
static void
begin_if_due(struct px_turn *t, struct px_agreement *a, const struct px_exchange *x)
{
    enum osp_err e;

    if (!a || a->up || a->not_before_us > t->now.us)
        return;
    e = begin(t, a, x);
    if (e == OSP_OK)
        return;
    a->why = e;
    a->not_before_us = t->now.us + PAUSE_US;
    t->px->stats.not_agreed++;
    t->px->stats.errors[e]++;
    px_tell_agreed(t->px, a->purpose, e);
}

/*
 * x->current is the context that leads there, and true if it is usable.  Near a limit of its keys it is used while a new one is
 * made.
 */
static bool
use(struct px_turn *t, struct px_exchange *x, struct osp_slice purpose)
{
    struct osp_octx   *c = osp_octx_runtime_find_for(x->policy->runtime, purpose);
    enum osp_key_state state = c ? osp_octx_usage(c).state : OSP_KEY_OVER;
    bool               lost = c == x->current && x->current_is_stale;

    px_current_drop(x);
    if (!c || !px_is_wanted(x, osp_octx_label(c), px_is_by_chain(x, osp_octx_label(c)))) {
        osp_octx_unref(c);
        return false;
    }
    x->current = c;
    x->current_is_stale = lost || state == OSP_KEY_OVER;
    if (!x->current_is_stale && state == OSP_KEY_WORN)
        begin_if_due(t, px_agreement_get(t->px, purpose), x);
    return !x->current_is_stale;
}

enum px_step
px_ensure_context(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    char                 text[OSP_RECIPE_PEER_MAX];
    struct osp_slice     purpose = px_purpose_of(x, text);
    struct px_agreement *a;

    if ((x->current && !x->current_is_stale) || use(t, x, purpose))
        return PX_GO_ON;
    if (x->edhoc->sessions_awaited >= SESSIONS_AWAITED_MAX)
        return without(t, x, OSP_E_NOT_AGREED);
    a = px_agreement_get(t->px, purpose);
    if (!a)
        return without(t, x, OSP_E_OVERLOAD);
    begin_if_due(t, a, x);
    return a->up ? wait(t, x, req, a) : without(t, x, a->why);
}

/* ---- when the context does not last ---- */

void
px_forget_context(struct px_exchange *x)
{
    if (!x->edhoc)
        return;
    px_current_drop(x);             /* x->added stays: what comes before the request is sent again is not in the clear */
    x->edhoc->asked_anew = false;
    x->edhoc->sessions_awaited = 0;
}

/*
 * True if x->current is out of use already, so that nothing is lost by asking in the next one; or if a session for another one is
 * under way.  One begins here, if it may.
 */
static bool
look_for_another(struct px_turn *t, struct px_exchange *x)
{
    char                 text[OSP_RECIPE_PEER_MAX];
    struct osp_slice     purpose = px_purpose_of(x, text);
    struct osp_octx     *c = osp_octx_runtime_find_for(x->policy->runtime, purpose);
    bool                 in_use = c == x->current;
    struct px_agreement *a = in_use ? px_agreement_get(t->px, purpose) : NULL;

    osp_octx_unref(c);
    if (a && (!a->made_us || t->now.us - a->made_us >= PAUSE_US))
        begin_if_due(t, a, x);
    return !in_use || (a && a->up);
}

/*
 * The next hop says, in the clear, that it does not know the context [rfc8613#8.2].  Anybody could say so: for a context that
 * is quite new it is not believed, which bounds how often it can be made to happen, and the context stays until there is
 * another.  With an Echo it says something else.
 */
enum px_step
px_ask_in_another_context(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    if (!x->edhoc || !x->current || x->edhoc->asked_anew || x->state != PX_RUNNING || resp->code != OSP_CODE(4, 1) ||
        osp_msg_has(resp, OSP_OPT_OSCORE) || osp_msg_has(resp, OSP_OPT_ECHO) ||
        !look_for_another(t, x) || !px_restore(x, &t->px->a) || !px_may_repeat(x, &t->px->a))
        return PX_GO_ON;
    x->edhoc->asked_anew = x->current_is_stale = true;
    t->out = &t->px->a;
    return PX_SEND;
}
