/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts derived multiple times (oscore/b2.h), at both sides of the proxy [rfc8613#B.2].
 *
 * In the policy such a context is a base.  From clients: what its current context does not fit is a request #1, which is
 * answered 4.01 under a second context, or a request #2, which goes on as any other request and leaves a new current
 * context behind.  Towards next hops: an exchange that finds no usable current context makes one on the way, with its own
 * request as request #1; others of that base wait for it, in whichever worker it is, and look again every now and then.
 */
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"

#define LOOK_AGAIN_US OSP_MS(20)        /* a run in another worker cannot wake us up */
#define ROUNDS_MAX 3                    /* answers with an R2 to one request: a next hop that has run one beside ours */
#define NUMBERS 16                      /* of a third context before any can be leased: it is forgotten if we crash first */

/* ---- from clients ---- */

static struct osp_octx *
base_of(const struct px_exchange *x, struct osp_slice kid)
{
    struct osp_octx *c = osp_octx_configured_find(x->policy->contexts, kid, false, OSP_EMPTY);

    return c && osp_b2_is_base(c) ? c : NULL;
}

bool
px_rekey_is_for_us(const struct px_exchange *x, const struct osp_oscore_opt *o)
{
    struct osp_slice id;

    return base_of(x, o->kid) && o->has_kid_context && osp_b2_unwrap(o->kid_context, &id);
}

struct osp_octx *
px_rekey_find(const struct px_exchange *x, const struct osp_oscore_opt *o)
{
    struct osp_octx *base = base_of(x, o->kid);
    struct osp_octx *c = base ? osp_b2_current(base) : NULL;
    struct osp_slice own = OSP_EMPTY;

    if (!c || !o->has_kid_context || (osp_octx_kid_context(c, &own) && osp_slice_eq(own, o->kid_context)))
        return c;               /* both know the ID Context, so it may be left out */
    if (osp_octx_id_context(c, &own) && osp_slice_eq(own, o->kid_context))
        return c;               /* it may also come as it is, outside of the procedure of B.2 [rfc8613#5.1] */
    osp_octx_unref(c);
    return NULL;
}

/*
 * Request #1 verified: the answer to it is made in the second context, under the one number of that.  Without a Partial
 * IV it would have "the AEAD nonce from the request" [rfc8613#8.3], and the Common IV of that is another: some take the
 * nonce as it was, and some the one that the second context makes of the same number.
 */
static enum osp_err
to_second(struct px_turn *t, struct osp_octx *base, struct osp_slice id1, struct osp_layer *l)
{
    struct osp_octx *second = NULL;
    uint8_t          r2[OSP_B2_R2_LEN];
    enum osp_err     e = osp_b2_make_r2(base, &t->px->rand, r2);

    if (e == OSP_OK)
        e = osp_b2_derive_second(base, osp_slice(r2, sizeof(r2)), id1, &second);
    if (e != OSP_OK) {
        osp_layer_fini(l);
        return e == OSP_E_ID_LENGTH ? OSP_E_NO_CONTEXT : e;
    }
    osp_octx_lend(second, 1);
    osp_octx_unref(l->ctx);
    l->ctx = second;            /* its reference */
    l->nonce_used = true;
    return OSP_E_REKEY;
}

enum osp_err
px_rekey_request(struct px_turn *t, struct px_exchange *x, const struct osp_oscore_opt *o, const struct osp_msg *in,
                 struct osp_msg *out)
{
    struct osp_octx  *base = base_of(x, o->kid), *c = NULL;
    struct osp_layer *l = &x->removed[x->removed_count];
    struct osp_slice  id;
    uint32_t          ticket = 0;
    bool              second_request;
    enum osp_err      e;

    if (!base || osp_octx_is_out_of_use(base) || !o->has_kid_context || !osp_b2_unwrap(o->kid_context, &id))
        return OSP_E_NO_CONTEXT;
    second_request = osp_b2_knows_r2(base, id, &ticket);
    e = osp_b2_derive(base, id, &c);
    if (e != OSP_OK)
        return e;
    e = osp_oscore_unprotect_request(t->px->crypto, c, in, &t->scratch, out, l);
    if (e == OSP_OK && !second_request) {
        e = to_second(t, base, id, l);
    } else if (e == OSP_OK) {
        e = osp_b2_accept(base, c, ticket);
        if (e != OSP_OK)
            osp_layer_fini(l);
        else
            t->px->stats.rekeyed_server++;
    }
    osp_octx_unref(c);
    return e;
}

enum px_step
px_rekey_answer(struct px_turn *t, struct px_exchange *x)
{
    struct osp_msg *resp = &t->px->a;

    t->px->stats.rekey_begun++;
    t->px->stats.errors[OSP_E_REKEY]++;
    x->no_response = 0;         /* it is no answer to the request, which was not executed */
    osp_msg_init(resp, OSP_CODE(4, 1));
    return px_respond(t, resp);
}

/* ---- towards next hops ---- */

/* True if `c` can still protect a request and its answer. */
static bool
is_usable(struct osp_octx *c)
{
    struct osp_key_usage u = osp_octx_usage(c);

    return !(u.limits.stop && u.state == OSP_KEY_OVER) && osp_octx_ssn(c).next <= OSP_PIV_MAX;
}

static void
set_stage(struct px_exchange *x, enum px_rekey stage)
{
    x->rekey.stage = (uint8_t)stage;
    if (stage == PX_REKEY_NONE)
        px_part_detach(x, PX_PART_REKEY);
    else
        px_part_attach(x, PX_PART_REKEY);
}

/* The run is over, without a context to use. */
static void
give_up(struct px_exchange *x)
{
    osp_b2_end(x->hop_ctx, NULL);
    set_stage(x, PX_REKEY_NONE);
    px_current_drop(x);
}

void
px_rekey_end(struct osp_proxy *px, struct px_exchange *x)
{
    (void)px;
    give_up(x);
}

/* A context of a run of ours, with a few numbers. */
static enum osp_err
take_leg(struct px_exchange *x, struct osp_slice id, enum px_rekey stage)
{
    struct osp_octx *c = NULL;
    enum osp_err     e = osp_b2_derive(x->hop_ctx, id, &c);

    if (e != OSP_OK)
        return e;
    osp_octx_lend(c, NUMBERS);
    px_current_drop(x);
    x->current = c;
    set_stage(x, stage);
    return OSP_OK;
}

static enum osp_err
begin(struct px_turn *t, struct px_exchange *x)
{
    uint8_t      r1[OSP_B2_R_LEN];
    enum osp_err e;

    osp_randbuf_take(&t->px->rand, r1, sizeof(r1));
    set_stage(x, PX_REKEY_FIRST);
    e = take_leg(x, osp_slice(r1, sizeof(r1)), PX_REKEY_FIRST);
    if (e != OSP_OK)
        give_up(x);
    return e;
}

enum osp_err
px_rekey_choose(struct px_turn *t, struct px_exchange *x)
{
    struct osp_octx *c;
    bool             usable;

    if (x->rekey.stage != PX_REKEY_NONE)
        return OSP_OK;          /* what the run has got to */
    c = osp_b2_current(x->hop_ctx);
    usable = c && is_usable(c) && !(x->current_is_stale && c == x->current);
    if (usable)
        px_current_drop(x);
    if ((!usable || osp_octx_is_worn(c)) && osp_b2_begin(x->hop_ctx)) {
        osp_octx_unref(c);
        return begin(t, x);
    }
    if (usable) {
        x->current = c;             /* its reference */
        return OSP_OK;
    }
    osp_octx_unref(c);
    return OSP_E_REKEY;
}

enum px_step
px_rekey_wait(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    struct osp_time again = osp_time_after(t->now, LOOK_AGAIN_US);

    if (!px_save(t->px, x, req))
        return px_fail(t, OSP_E_NOMEM);
    px_wait(t->px, x, PX_WAIT_REKEY, again.us < x->deadline.us ? again : x->deadline);
    return PX_DONE;
}

/* The R2 in a response of the next hop, if it is one of a run and verifies in the second context. */
static bool
take_r2(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, struct osp_slice *r2)
{
    const struct osp_opt *o = osp_msg_get(resp, OSP_OPT_OSCORE);
    struct osp_octx      *second = NULL;
    struct osp_oscore_opt opt;
    struct osp_layer      l = x->added;
    struct osp_slice      id1 = OSP_EMPTY;
    enum osp_err          e;

    if (!o || osp_oscore_opt_parse(o->val, &opt) != OSP_OK || !opt.has_kid_context || !osp_b2_unwrap(opt.kid_context, r2))
        return false;
    (void)osp_octx_id_context(x->added.ctx, &id1);
    if (osp_b2_derive_second(x->hop_ctx, *r2, id1, &second) != OSP_OK)
        return false;
    l.ctx = second;
    l.nonce_ctx = x->added.ctx;
    e = osp_oscore_unprotect_response(t->px->crypto, &l, resp, &t->scratch, &t->px->b);
    if (e == OSP_E_DECRYPT && opt.piv.n == 0) {     /* [rfc8613#8.4] it may mean the nonce of the second context */
        l.nonce_ctx = NULL;
        e = osp_oscore_unprotect_response(t->px->crypto, &l, resp, &t->scratch, &t->px->b);
    }
    osp_octx_unref(second);
    return e == OSP_OK && t->px->b.code == OSP_CODE(4, 1);
}

/* The request without an Echo that was made for a context which the next hop has lost since. */
static bool
restore_without_echo(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    if (!px_restore(x, req))
        return false;
    if (!osp_msg_has(req, OSP_OPT_ECHO))
        return true;
    osp_msg_remove(req, OSP_OPT_ECHO);
    x->echo_tried = false;
    return osp_stored_keep(&x->saved, &t->px->pool, req) && px_restore(x, req);
}

/* The request goes out again, in the third context; or later, when another exchange has made one. */
static enum px_step
go_on(struct px_turn *t, struct px_exchange *x, struct osp_slice r2)
{
    uint8_t       id[2 * OSP_B2_ID_MAX], r3[OSP_B2_R_LEN];
    struct osp_wr w = osp_wr_to(id, sizeof(id));
    bool          ours = x->rekey.stage != PX_REKEY_NONE || osp_b2_begin(x->hop_ctx);
    enum osp_err  e = OSP_OK;

    osp_randbuf_take(&t->px->rand, r3, sizeof(r3));
    osp_wr_put(&w, r2);
    osp_wr_put(&w, osp_slice(r3, sizeof(r3)));
    if (ours) {
        set_stage(x, PX_REKEY_THIRD);
        e = take_leg(x, osp_wr_slice(&w), PX_REKEY_THIRD);
    }
    if (e == OSP_OK && !restore_without_echo(t, x, &t->px->a))
        e = OSP_E_NOMEM;
    if (e != OSP_OK)
        return px_fail(t, e == OSP_E_ID_LENGTH ? OSP_E_BAD_RESPONSE : e);
    if (!ours) {
        x->current_is_stale = true;
        return px_rekey_wait(t, x, &t->px->a);
    }
    t->out = &t->px->a;
    return PX_SEND;
}

enum px_step
px_rekey_response(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp)
{
    struct osp_slice r2;

    if (!x->has_added || !x->hop_ctx || !osp_b2_is_base(x->hop_ctx) || !take_r2(t, x, resp, &r2))
        return PX_GO_ON;
    return ++x->rekey.rounds > ROUNDS_MAX ? px_fail(t, OSP_E_BAD_RESPONSE) : go_on(t, x, r2);
}

void
px_rekey_verified(struct px_turn *t, struct px_exchange *x)
{
    if (x->rekey.stage == PX_REKEY_THIRD && x->added.ctx == x->current) {
        osp_b2_end(x->hop_ctx, x->current);
        set_stage(x, PX_REKEY_NONE);
        t->px->stats.rekeyed_client++;
    } else if (x->rekey.stage != PX_REKEY_NONE) {
        give_up(x);             /* it took request #1 for an ordinary one: nothing to rely on came of it */
    }
}
