/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EDHOC as the Responder [rfc9528#A.2]: /.well-known/edhoc, and message_3 in a request with an EDHOC option [rfc9668#3.3.1].
 *
 *   message_1 -> a session, C_R reserved, message_2
 *   message_3 -> the session is complete, its context goes into the runtime table and to the daemon to be kept
 *
 * The session belongs to whoever took it from the responder; it is given back, or ended, before the turn is over.
 */
#include "proxy/edhoc/edhoc.h"

#define ID_TRIES 64
#define NUMBERS 1024            /* of a context before anything came back under it */

/* ---- who a credential stands for ---- */

/* [rfc9528#D.5] a key that nobody vouches for: it is the same peer as before, and no more */
static enum osp_err
find_unknown(struct px_finder *f, struct osp_slice id_cred, const struct osp_edhoc_peer **out)
{
    enum osp_edhoc_id_kind kind;
    struct osp_slice       value;
    enum osp_err           e = osp_edhoc_id_kind(id_cred, &kind, &value);

    if (e == OSP_OK && kind != OSP_EDHOC_KCCS)
        e = OSP_E_NOT_FOUND;
    if (e == OSP_OK)
        e = osp_edhoc_cred_init(&f->unknown.cred, id_cred, value);
    if (e == OSP_OK)
        e = osp_digest(OSP_SHA256, &value, 1, f->hash);
    if (e != OSP_OK)
        return OSP_E_NOT_FOUND;
    f->unknown.label = f->policy->edhoc->unknown_label;
    *out = &f->unknown;
    return OSP_OK;
}

static enum osp_err
find_peer(void *ctx, struct osp_slice id_cred, unsigned nth, const struct osp_edhoc_peer **out)
{
    struct px_finder              *f = ctx;
    const struct osp_edhoc_conf *c = f->policy->edhoc;
    struct osp_edhoc_peers      trusted = c->trusted;
    enum osp_err                e = osp_edhoc_peers_find(&trusted, id_cred, nth, out);

    if (e == OSP_E_NOT_FOUND && nth == 0 && c->accept_unknown)
        return find_unknown(f, id_cred, out);
    return e;
}

static const char *
name_of(const struct osp_edhoc_conf *c, uint32_t label)
{
    uint32_t i = label & ~OSP_RECIPE_LABEL;

    return label & OSP_RECIPE_LABEL && i < c->name_count ? c->names[i] : "";
}

/*
 * For one call: the profile under which the session began, and whom the policy of now trusts.  A credential that a reload
 * took away must not come in through a session that began before.
 */
struct osp_edhoc_profile
px_edhoc_profile(struct px_finder *f, const struct osp_policy *began, const struct osp_policy *now)
{
    struct osp_edhoc_profile p = began->edhoc->profile;

    f->policy = now;
    p.find = find_peer;
    p.find_ctx = f;
    p.anchors = now->edhoc->profile.anchors;
    p.chain_label = now->edhoc->profile.chain_label;
    return p;
}

/* ---- answers ---- */

static enum px_step
answer(struct px_turn *t, uint8_t code, struct osp_slice payload)
{
    struct osp_msg *resp = &t->px->a;
    uint8_t        *format = osp_wr_reserve(&t->scratch, 4), *bytes = osp_wr_reserve(&t->scratch, payload.n + 1);

    if (!format || !bytes || !osp_slice_copy(payload, bytes, payload.n))
        return px_fail(t, OSP_E_NOMEM);
    osp_msg_init(resp, code);
    if (payload.n && osp_msg_add(resp, OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(OSP_FORMAT_EDHOC, format)) != OSP_OK)
        return px_fail(t, OSP_E_NOMEM);
    resp->payload = osp_slice(bytes, payload.n);
    return px_respond(t, resp);
}

/* [rfc9528#A.2.3] The code says whose fault it was; the text says no more than the identifier of the error. */
static enum px_step
answer_error(struct px_turn *t, struct px_exchange *x, struct osp_edhoc *s, enum osp_err why)
{
    uint8_t       bytes[256];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));
    bool          ours = osp_err_class(why) == OSP_CLASS_LOCAL;

    osp_responder_count(x->policy->edhoc->responder, OSP_RESPONDER_FAILED);
    t->px->stats.errors[why]++;
    if ((!s || osp_edhoc_make_error(s, &w) != OSP_OK) && osp_edhoc_put_error(&w, why) != OSP_OK)
        w.n = 0;
    return answer(t, ours ? OSP_CODE(5, 0) : OSP_CODE(4, 0), osp_wr_slice(&w));
}

/* ---- message_1 ---- */

static bool
take_id(const struct osp_policy *p, struct osp_slice id, struct osp_slice other)
{
    return !osp_slice_eq(id, other) && !osp_octx_configured_has_id(p->contexts, id) &&
           !osp_responder_has(p->edhoc->responder, id) &&
           osp_octx_runtime_reserve(p->runtime, id) == OSP_OK;
}

/* Requests for such a route may have an end-to-end layer, whose kid was not chosen here. */
static bool
has_route_that_terminates(const struct osp_policy *p)
{
    for (size_t i = 0; i < p->route_count; i++)
        if (!p->routes[i].pass)
            return true;
    return false;
}

/*
 * An identifier that nobody here uses [rfc9668#4.1.1] [rfc9668#4.1.2], of one byte as long as there are: 00 to 17 and
 * 20 to 37 travel as such [rfc9528#3.3.2].  Where others choose kids too, it is one that they will not have: the short ones
 * are everybody's first choice.
 */
bool
px_edhoc_choose_id(struct px_turn *t, const struct osp_policy *p, struct osp_slice other, struct osp_edhoc_cid *out)
{
    bool apart = has_route_that_terminates(p);

    for (unsigned i = 0; i < ID_TRIES; i++) {
        out->len = apart || i >= 24 ? 4 : i < 8 ? 1 : 2;
        osp_randbuf_take(&t->px->rand, out->bytes, out->len);
        if (out->len == 1)
            out->bytes[0] = (uint8_t)((out->bytes[0] % 24) | (out->bytes[0] & 0x80 ? 0x20 : 0));
        if (take_id(p, osp_slice(out->bytes, out->len), other))
            return true;
    }
    return false;
}

static enum osp_err
begin(struct px_turn *t, struct px_exchange *x, struct px_session *session, struct osp_slice message, struct osp_wr *out)
{
    struct osp_edhoc_message_1 m;
    uint8_t                    seed[32];
    enum osp_err               e = osp_edhoc_take_message_1(&session->edhoc, message, NULL);

    if (e == OSP_OK)
        e = osp_edhoc_peek_message_1(message, &m);
    if (e != OSP_OK)
        return e;
    if (!px_edhoc_choose_id(t, x->policy, m.c_i, &session->c_r))
        return OSP_E_OVERLOAD;
    session->reserved = true;
    osp_randbuf_take(&t->px->rand, seed, sizeof(seed));
    e = osp_edhoc_make_message_2(&session->edhoc, seed, osp_slice(session->c_r.bytes, session->c_r.len), OSP_EMPTY, out);
    osp_wipe(seed, sizeof(seed));
    if (e == OSP_OK && !px_session_set_answer(session, osp_wr_slice(out)))
        e = OSP_E_NOMEM;
    return e;
}

/* [rfc9528#7] A message_1 that came before gets the message_2 that it got, and no second session.  PX_GO_ON: it is a new one. */
static enum px_step
answer_duplicate(struct px_turn *t, struct px_exchange *x, uint64_t hash)
{
    struct osp_responder *r = x->policy->edhoc->responder;
    struct px_session       *session = osp_responder_take_duplicate(r, hash, t->now);
    enum px_step          v;

    if (!session)
        return PX_GO_ON;
    v = answer(t, OSP_CODE(2, 4), osp_slice(session->answer, session->answer_len));
    osp_responder_give(r, session, t->now);
    osp_responder_count(r, OSP_RESPONDER_DUPLICATE);
    return v;
}

static enum px_step
on_message_1(struct px_turn *t, struct px_exchange *x, struct osp_slice message, bool proven)
{
    struct osp_responder    *r = x->policy->edhoc->responder;
    struct px_finder         f = { 0 };
    struct osp_edhoc_profile profile = px_edhoc_profile(&f, x->policy, x->policy);
    uint64_t                 hash = osp_responder_hash(r, &x->from.peer.ip, message);
    uint8_t                  bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr            w = osp_wr_to(bytes, sizeof(bytes));
    struct px_session       *session;
    enum osp_err             e;
    enum px_step             v = answer_duplicate(t, x, hash);

    if (v != PX_GO_ON)
        return v;
    if (osp_responder_is_loaded(r) && !proven) { /* [rfc9175#2.3] */
        osp_responder_count(r, OSP_RESPONDER_VERIFIED);
        return PX_PROVE;
    }
    session = px_session_new(x->policy, &x->from.peer.ip);
    if (!session)
        return px_fail(t, OSP_E_NOMEM);
    session->request_hash = hash;
    osp_edhoc_init(&session->edhoc, OSP_EDHOC_RESPONDER, &profile, t->px->crypto, osp_responder_now_s(r, t->now));
    e = begin(t, x, session, message, &w);
    if (e != OSP_OK) {
        v = answer_error(t, x, &session->edhoc, e);
        px_session_end(r, session);
        return v;
    }
    osp_responder_count(r, OSP_RESPONDER_STARTED);
    osp_responder_give(r, session, t->now);
    return answer(t, OSP_CODE(2, 4), osp_wr_slice(&w));
}

/* ---- message_3 ---- */

/* Who it is, for people. */
static void
describe(const struct osp_edhoc_who *who, const struct px_finder *f, char dst[OSP_RECIPE_PEER_MAX])
{
    char hex[17];

    dst[0] = '\0';
    if (who->by_chain) {
        struct osp_slice s = osp_slice_head(osp_slice_str(who->name), OSP_RECIPE_PEER_MAX - 1);

        (void)osp_slice_copy(s, dst, OSP_RECIPE_PEER_MAX - 1);
        dst[s.n] = '\0';
    } else if (who->label == f->policy->edhoc->unknown_label) {
        osp_hex_encode(osp_slice(f->hash, 8), hex, sizeof(hex));
        memcpy(dst, hex, sizeof(hex));
    }
}

/* Its window is known and empty: these keys are new [rfc9528#A.1]. */
enum osp_err
px_edhoc_derive(const struct osp_edhoc *s, const struct px_finder *f, const char *leads_to, struct osp_recipe **out)
{
    static const struct osp_replay empty;
    const struct osp_edhoc_who    *who = osp_edhoc_who(s);
    struct osp_edhoc_oscore        o = { 0 };
    char                           peer[OSP_RECIPE_PEER_MAX];
    enum osp_err                   e = osp_edhoc_oscore(s, &o);
    struct osp_octx_params         p = osp_edhoc_octx_params(&o, who ? who->label : 0);   /* there is one when there are keys */

    if (e == OSP_OK && osp_octx_configured_has_id(f->policy->contexts, p.recipient_id))
        e = OSP_E_EXISTS;       /* [rfc9668#4.1.2] a reload gave it to somebody else: requests under it would be theirs */
    if (e == OSP_OK) {
        describe(who, f, peer);
        if (!leads_to)
            p.subject = osp_slice_str(peer);
        e = osp_recipe_new(&p, name_of(f->policy->edhoc, who->label), leads_to ? leads_to : peer, out);
    }
    osp_wipe(&o, sizeof(o));
    if (e == OSP_OK) {
        (*out)->leads = leads_to != NULL;
        osp_octx_set_window((*out)->octx, &empty);
    }
    return e;
}

enum osp_err
px_edhoc_put_context(struct px_turn *t, const struct osp_policy *now, struct osp_recipe *m, bool confirmed)
{
    enum osp_err e = osp_octx_configured_has_id(now->contexts, osp_octx_recipient_id(m->octx)) ? OSP_E_EXISTS : OSP_OK;

    if (confirmed && osp_octx_ssn(m->octx).limit == 0)
        osp_octx_lend(m->octx, 0);      /* another worker that finds it asks for no lease before it is kept: there is none */
    if (e == OSP_OK)
        e = confirmed ? osp_octx_runtime_add_for(now->runtime, m->octx, m->leads ? osp_slice_str(m->peer) : OSP_EMPTY)
                      : osp_octx_runtime_add_unconfirmed(now->runtime, m, NUMBERS);
    if (e == OSP_OK && confirmed)
        e = px_keep_recipe(t->px, m);
    if (e != OSP_OK)
        osp_recipe_free(m);
    return e;
}

enum osp_err
px_edhoc_make_context(struct px_turn *t, const struct osp_edhoc *s, const struct px_finder *f, const char *leads_to,
                      bool confirmed)
{
    struct osp_recipe *m = NULL;
    enum osp_err     e = px_edhoc_derive(s, f, leads_to, &m);

    return e == OSP_OK ? px_edhoc_put_context(t, f->policy, m, confirmed) : e;
}

/* Takes message_3; on an error the session is not to be used any more. */
static enum osp_err
complete(struct px_turn *t, struct px_exchange *x, struct px_session *session, struct osp_slice message, bool combined)
{
    struct osp_responder    *r = x->policy->edhoc->responder;
    struct px_finder         f = { 0 };
    struct osp_edhoc_profile profile = px_edhoc_profile(&f, session->policy, x->policy);
    uint8_t                  bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr            w = osp_wr_to(bytes, sizeof(bytes));
    enum osp_err             e;

    osp_edhoc_attach(&session->edhoc, &profile, t->px->crypto);
    e = combined ? osp_edhoc_take_combined(&session->edhoc, message, NULL)
                 : osp_edhoc_take_message_3(&session->edhoc, message, NULL);
    if (e == OSP_OK && profile.has_message_4)
        e = osp_edhoc_make_message_4(&session->edhoc, OSP_EMPTY, &w);
    if (e == OSP_OK && !px_session_set_answer(session, osp_wr_slice(&w)))
        e = OSP_E_NOMEM;
    if (e == OSP_OK)
        e = px_edhoc_make_context(t, &session->edhoc, &f, NULL, true);
    if (e != OSP_OK)
        return e;
    /* the context has C_R now */
    osp_octx_runtime_release(session->policy->runtime, osp_slice(session->c_r.bytes, session->c_r.len));
    session->reserved = false;
    session->finished = true;
    osp_edhoc_fini(&session->edhoc);    /* duplicates need no keys [rfc9528#9.8] and no policy */
    osp_policy_unref(session->policy);
    session->policy = NULL;
    session->message_3_hash = osp_responder_hash(r, &session->from, message);
    osp_responder_count(r, OSP_RESPONDER_COMPLETED);
    return OSP_OK;
}

/*
 * Message_3 for the session of C_R.  PX_GO_ON: it is complete, by this message or by an equal one before, and given back; what
 * is to be answered is in the scratch memory.
 */
static enum px_step
take_message_3(struct px_turn *t, struct px_exchange *x, struct osp_slice c_r, struct osp_slice message, bool combined,
               struct osp_slice *reply)
{
    struct osp_responder *r = x->policy->edhoc->responder;
    struct px_session       *session = osp_responder_take(r, c_r, &x->from.peer.ip, t->now);
    size_t                start = t->scratch.n;
    enum osp_err          e = OSP_OK;
    enum px_step          v = PX_GO_ON;

    if (!session)
        return answer_error(t, x, NULL, OSP_E_EDHOC_SESSION);
    if (!session->finished)
        e = complete(t, x, session, message, combined);
    else if (session->message_3_hash == osp_responder_hash(r, &session->from, message))
        osp_responder_count(r, OSP_RESPONDER_DUPLICATE);
    else
        e = OSP_E_EDHOC_STATE;          /* the complete session stays as it is */
    osp_wr_put(&t->scratch, osp_slice(session->answer, session->answer_len));
    *reply = osp_wr_bad(&t->scratch) ? OSP_EMPTY : osp_slice(t->scratch.p + start, t->scratch.n - start);
    if (e != OSP_OK)            /* [rfc9668#3.3.1] code 1, whatever it was */
        v = answer_error(t, x, session->finished || combined ? NULL : &session->edhoc, e);
    if (e == OSP_OK || session->finished)
        osp_responder_give(r, session, t->now);
    else
        px_session_end(r, session);
    return v;
}

/* The Initiator gives up [rfc9528#6]: so do we, and say no more than that it was heard. */
static enum px_step
on_error_message(struct px_turn *t, struct px_exchange *x, const struct osp_edhoc_request *m)
{
    struct osp_responder *r = x->policy->edhoc->responder;
    struct px_session       *session = osp_responder_take(r, m->c_r, &x->from.peer.ip, t->now);

    if (session && session->finished) {
        osp_responder_give(r, session, t->now);
    } else if (session) {
        osp_responder_count(r, OSP_RESPONDER_FAILED);
        px_session_end(r, session);
    }
    return answer(t, OSP_CODE(2, 4), OSP_EMPTY);
}

/* ---- the resource ---- */

enum px_step
px_edhoc(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, bool proven)
{
    const struct osp_opt    *o = osp_msg_get(req, OSP_OPT_CONTENT_FORMAT);
    struct osp_edhoc_request m;
    struct osp_slice         reply;
    uint32_t                 format = OSP_FORMAT_CID_EDHOC;
    enum px_step             v;

    if (req->code != OSP_POST)
        return px_fail(t, OSP_E_METHOD);
    if (o && (!osp_opt_uint(o->val, &format) || format != OSP_FORMAT_CID_EDHOC))
        return px_fail(t, OSP_E_CONTENT_FORMAT);
    if (osp_edhoc_split_request(req->payload, &m) != OSP_OK)
        return answer_error(t, x, NULL, OSP_E_FORMAT);
    if (m.is_message_1)
        return on_message_1(t, x, m.message, proven);
    if (osp_edhoc_is_error(m.message))
        return on_error_message(t, x, &m);
    v = take_message_3(t, x, m.c_r, m.message, false, &reply);
    return v == PX_GO_ON ? answer(t, OSP_CODE(2, 4), reply) : v;
}

/* ---- combined requests [rfc9668#3.3.1] ---- */

bool
px_edhoc_is_combined(const struct px_exchange *x, struct osp_slice kid)
{
    return x->policy->edhoc && osp_responder_has_from(x->policy->edhoc->responder, kid, &x->from.peer.ip);
}

enum px_step
px_edhoc_combined(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, struct osp_slice kid)
{
    struct osp_slice message, ciphertext, reply;
    enum px_step     v;

    if (osp_edhoc_split_combined(req->payload, &message, &ciphertext) != OSP_OK)        /* step 1 */
        return px_fail(t, OSP_E_BAD_REQUEST);
    v = take_message_3(t, x, kid, message, true, &reply);
    if (v != PX_GO_ON)
        return v;
    osp_msg_remove(req, OSP_OPT_EDHOC);
    req->payload = ciphertext;
    return PX_GO_ON;
}
