/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client as EDHOC Initiator [rfc9528#A.2]: with the nearest proxy first, then with each one behind it and at last with the
 * origin, through those before [ocp#5].
 *
 *   one after the other   message_1, message_2; message_3, message_4 or nothing; then requests under the new context
 *   combined              message_1, message_2; then message_3 travels with the first request [rfc9668#3.2]: the next message_1,
 *                         or the user's own
 *
 * The new context is kept for the next call as soon as the peer has shown that it derived equal keys.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/digest.h"
#include "daemon/osprey/client/client.h"
#include "daemon/osprey/keys/kept.h"
#include "msg/option.h"

#define C_I_TRIES 64

/* The context in the route until EDHOC has made one. */
static const struct osprey_sec unmade;

static struct osp_slice
id_of(const struct client_key *k)
{
    return osp_slice(k->c_i, k->c_i_len);
}

/* ---- plan ---- */

static enum osp_err
put_authority(struct osp_wr *w, const struct osp_authority *a)
{
    osp_wr_u8(w, (uint8_t)a->scheme);
    osp_wr_u16(w, a->port);
    osp_wr_u8(w, (uint8_t)a->host.n);
    osp_wr_put(w, a->host);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

/* Names a kept context: by our credential, the credentials trusted for the peer, and its address. */
static enum osp_err
name_record(const struct client *c, struct client_key *k, const struct osp_authority *to)
{
    uint8_t          bytes[OSP_HOST_MAX + 8];
    struct osp_wr    w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_slice parts[5 + CFG_CHAIN_MAX] = { { NULL, 0 } };
    size_t           n = 0;
    enum osp_err     e = put_authority(&w, to);

    parts[n++] = osp_wr_slice(&w);
    parts[n++] = c->edhoc.own[0].cred.id_cred;
    parts[n++] = c->edhoc.own[0].cred.cred;
    parts[n++] = osp_slice_str(k->plan.peer);
    if (k->plan.only.count)
        parts[n++] = k->plan.only.list[0].cred.cred;
    else
        n += osprey_edhoc_authority(&c->edhoc, &parts[n]);
    return e == OSP_OK ? osp_digest(OSP_SHA256, parts, n, k->record) : e;
}

static bool
plan_key(struct client *c, const struct osprey_sec **slot, size_t hop, const char *peer, const struct osp_authority *to)
{
    struct client_key      *k = &c->keys[c->key_count];
    struct osprey_edhoc_want want = { .peer = peer, .host = to->host, .method = c->args.edhoc_method,
                                      .suites = c->args.suites };
    const char             *wrong = osprey_edhoc_plan(&c->edhoc, &want, &k->plan);

    if (!wrong && name_record(c, k, to) != OSP_OK)
        wrong = "no name for its state";
    if (wrong) {
        client_complain(peer ? peer : "edhoc", wrong);
        return false;
    }
    k->slot = slot;
    k->hop = hop;
    *slot = &unmade;
    c->key_count++;
    return true;
}

bool
client_edhoc_plan(struct client *c)
{
    struct osprey_route *r = &c->route;

    if (!c->args.edhoc)
        return true;
    if (!osprey_edhoc_load(&c->edhoc, c->args.edhoc, true))
        return false;
    for (size_t i = 0; i < r->via_count; i++)
        if (c->args.via[i].edhoc && !plan_key(c, &r->via[i].sec, i, c->args.via[i].peer, &r->via[i].to))
            return false;
    return !c->args.end_to_end_edhoc || plan_key(c, &r->end_to_end, r->via_count, c->args.end_to_end_peer, &r->target.to);
}

/* ---- contexts ---- */

/* Makes a context with the parameters `p` the one of its hop. */
static enum osp_err
adopt(struct client *c, struct client_key *k, const struct osp_octx_params *p, bool is_new)
{
    struct osp_key_limits  limits = osp_key_limits_default(p->aead);
    struct osprey_context *ctx;
    uint64_t               used;
    enum osp_err           e = osprey_context_add(&c->contexts, p, k->plan.peer, is_new, &ctx);

    if (e != OSP_OK)
        return e;
    limits.stop = true;
    osp_octx_set_limits(ctx->sec.octx, &limits);
    if (!client_lease(c))
        return OSP_E_NO_LEASE;
    /* Each sequence number is one encryption, so numbers used in earlier calls count as uses of the key. */
    used = osp_octx_ssn(ctx->sec.octx).next;
    osp_octx_usage_restore(ctx->sec.octx, used < UINT32_MAX ? (uint32_t)used : UINT32_MAX, 0);
    k->ctx = ctx;
    *k->slot = &ctx->sec;
    return OSP_OK;
}

/* Takes the context that an earlier call kept.  OSP_E_NOT_FOUND: no context was kept, or it cannot be used. */
static enum osp_err
take_kept(struct client *c, struct client_key *k)
{
    struct osp_recipe *m = NULL;
    enum osp_err     e = osprey_kept_get(c->state, k->record, &m);

    if (e != OSP_OK)
        return e;
    e = adopt(c, k, &m->params, false);
    osp_recipe_free(m);
    if (e == OSP_OK && osp_octx_is_worn(k->ctx->sec.octx)) {
        k->ctx = NULL;
        *k->slot = &unmade;
        return OSP_E_NOT_FOUND;
    }
    k->reused = e == OSP_OK;
    if (e == OSP_OK && c->show.level)
        fprintf(c->show.to, "  = EDHOC with %s: the context of an earlier run is used\n", k->plan.peer);
    return e;
}

/* The peer has the context, too, so it is kept for later calls. */
static void
keep(struct client *c, struct client_key *k)
{
    if (k->recipe && osprey_kept_put(c->state, k->record, k->recipe) != OSP_OK)
        client_complain("a context made by EDHOC is not kept", osprey_state_why());
    osp_recipe_free(k->recipe);
    k->recipe = NULL;
}

static enum osp_err
make_context(struct client *c, struct client_key *k, struct osp_edhoc *s)
{
    struct osp_edhoc_oscore o;
    enum osp_err            e = osp_edhoc_oscore(s, &o);
    struct osp_octx_params  p;

    if (e != OSP_OK)
        return e;
    p = osp_edhoc_octx_params(&o, 0);
    e = osp_recipe_new(&p, k->plan.peer, osp_edhoc_who(s)->name, &k->recipe);
    if (e == OSP_OK)
        e = adopt(c, k, &p, true);
    osp_wipe(&o, sizeof(o));
    return e;
}

/* ---- messages ---- */

/* The route of an EDHOC message for `hop`, through the proxies before it. */
static void
route_to(const struct client *c, size_t hop, struct osprey_route *r)
{
    *r = c->route;
    r->end_to_end = NULL;
    r->proxy_uri = OSP_EMPTY;
    if (hop < c->route.via_count) {
        r->target = (struct osp_uri){ .to = c->route.via[hop].to };
        r->via_count = hop;
        r->reverse = false;
        r->route_path_count = 0;
    }
    r->target.path = osp_slice_str(".well-known/edhoc");
    r->target.query = OSP_EMPTY;
    r->target.has_query = false;
}

/* Sends one POST; its answer is in c->answer. */
static enum osp_err
post(struct client *c, const struct client_key *k, struct osprey_onion *onion, struct osp_slice payload)
{
    struct osprey_route   route;
    uint8_t               format[4];
    struct osp_opt        opt = { OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(OSP_FORMAT_CID_EDHOC, format) };
    struct osprey_content content = { .method = OSP_POST, .opts = &opt, .opt_count = 1, .payload = payload };
    struct client_ask     ask = { .onion = onion, .route = &route, .content = &content };
    enum osp_err          e;

    route_to(c, k->hop, &route);
    c->echo.present = false;    /* an Echo belongs to a level of another route */
    e = client_exchange(c, &ask, NULL);
    c->echo.present = false;
    return e;
}

static bool
is_format(const struct osp_msg *m, uint32_t format)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_CONTENT_FORMAT);
    uint32_t              v;

    return o && osp_opt_uint(o->val, &v) && v == format;
}

/* True if the answer is only the first block of a message. */
static bool
is_cut(const struct osp_msg *m)
{
    struct osp_block b = { 0 };
    bool             has = false;

    return osp_block_get(m, OSP_OPT_BLOCK2, &has, &b) != OSP_OK || (has && b.more);
}

/* Reads an answer that carries an error message [rfc9528#A.2.3]. */
static bool
is_error_answer(const struct osp_msg *m, struct osp_edhoc_error *out)
{
    return OSP_CODE_CLASS(m->code) >= 4 && is_format(m, OSP_FORMAT_EDHOC) && osp_edhoc_read_error(m->payload, out) == OSP_OK;
}

static enum osp_err __attribute__((format(printf, 4, 5)))
fail(struct client *c, const struct client_key *k, enum osp_err e, const char *format, ...)
{
    char    text[192];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    snprintf(c->why_text, sizeof(c->why_text), "EDHOC with %s: %s", k->plan.peer, text);
    c->why = c->why_text;
    return e;
}

static enum osp_err
fail_by_peer(struct client *c, const struct client_key *k, const struct osp_edhoc_error *error)
{
    bool shows = error->text.n > 0 && error->text.n < 128 && osprey_is_utf8(error->text) &&
                 !memchr(error->text.p, 0x1b, error->text.n);
    struct osp_slice text = error->text;

    if (error->code == OSP_EDHOC_ERR_CREDENTIAL)    /* has no text [rfc9528#6.4] */
        text = osp_slice_str("unknown credential; ours is not trusted there");
    else if (!shows)
        text = OSP_EMPTY;
    return fail(c, k, OSP_E_EDHOC_REFUSED, "%s sent error %lld%s%.*s", c->answer.level ? "somebody, unprotected," : "the peer",
                (long long)error->code, text.n ? ": " : "", (int)text.n, text.n ? (const char *)text.p : "");
}

/* Reports an answer that has no usable EDHOC message. */
static enum osp_err
fail_by_answer(struct client *c, const struct client_key *k)
{
    const char *phrase = NULL;
    char        code[8];

    osp_code_print(c->answer.msg->code, code, &phrase);
    return fail(c, k, OSP_E_BAD_RESPONSE, "answered with %s %s where a message of EDHOC was due", code, phrase ? phrase : "");
}

static void
tell_message(const struct client *c, const struct client_key *k, bool out, const char *what, size_t n)
{
    if (c->show.level)
        fprintf(c->show.to, "  = EDHOC with %s: %s %s, %zu bytes\n", k->plan.peer, what, out ? "goes out" : "came in", n);
}

/* Chooses a C_I that is the Recipient ID of no other context, neither of this call nor a kept one [rfc9668#4.1.1]. */
static bool
choose_c_i(struct client *c, struct client_key *k)
{
    for (unsigned i = 0; i < C_I_TRIES; i++) {
        bool taken = false;

        k->c_i_len = i < C_I_TRIES / 2 ? 1 : 3;
        osp_randbuf_take(&c->rand, k->c_i, k->c_i_len);
        if (k->c_i_len == 1)    /* 00 to 17 and 20 to 37 travel as one byte [rfc9528#3.3.2] */
            k->c_i[0] = (uint8_t)((k->c_i[0] % 24) | (k->c_i[0] & 0x80 ? 0x20 : 0));
        for (size_t n = 0; n < c->contexts.count && !taken; n++)
            taken = osp_slice_eq(osp_octx_recipient_id(c->contexts.items[n]->sec.octx), id_of(k));
        if (!taken && !osprey_kept_has_id(c->state, id_of(k)))
            return true;
    }
    return false;
}

/* Sends an error message to the peer, if its connection identifier is known. */
static void
send_error(struct client *c, struct client_key *k, struct osprey_onion *onion, struct osp_edhoc *s, enum osp_err why)
{
    uint8_t          bytes[256];
    struct osp_wr    w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_slice c_r = osp_edhoc_c_r(s);

    if (c_r.n == 0)
        return;
    osp_edhoc_cid_put(&w, c_r);
    if ((osp_edhoc_make_error(s, &w) != OSP_OK && osp_edhoc_put_error(&w, why) != OSP_OK) || osp_wr_bad(&w))
        return;
    tell_message(c, k, true, "an error message", w.n);
    (void)!post(c, k, onion, osp_wr_slice(&w));
}

/* Sends message_1 with `suite`; its answer is in c->answer. */
static enum osp_err
send_message_1(struct client *c, struct client_key *k, struct osprey_onion *onion, struct osp_edhoc *s, int64_t suite)
{
    uint8_t       bytes[OSP_EDHOC_MESSAGE_MAX], seed[32];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));
    enum osp_err  e;

    k->suite = (int)suite;
    k->method = osprey_edhoc_method(&k->plan, suite);
    osp_wr_u8(&w, 0xf5);        /* true [rfc9528#A.2.1] */
    do {
        osp_edhoc_init(s, OSP_EDHOC_INITIATOR, &k->plan.profile, c->crypto, (int64_t)time(NULL));
        osp_randbuf_take(&c->rand, seed, sizeof(seed));
        e = osp_edhoc_make_message_1(s, (uint8_t)k->method, suite, seed, id_of(k), OSP_EMPTY, &w);
    } while (e == OSP_E_INVALID);       /* once in 2^32 times */
    osp_wipe(seed, sizeof(seed));
    if (e != OSP_OK)
        return e;
    tell_message(c, k, true, "message_1", w.n - 1);
    return post(c, k, onion, osp_wr_slice(&w));
}

/* Sends message_1, again with another suite if the peer asks for it [rfc9528#6.3], until message_2 is in c->answer. */
static enum osp_err
first_round(struct client *c, struct client_key *k, struct osprey_onion *onion, struct osp_edhoc *s)
{
    int64_t suite = k->plan.profile.suites.value[0];

    for (unsigned tries = 0; tries < 2; tries++) {
        struct osp_edhoc_error error = { 0 };
        enum osp_err           e = send_message_1(c, k, onion, s, suite);

        if (e != OSP_OK)
            return e;
        if (c->answer.msg->code == OSP_CODE(2, 4) && is_format(c->answer.msg, OSP_FORMAT_EDHOC))
            return is_cut(c->answer.msg) ? fail(c, k, OSP_E_TOO_LARGE, "message_2 comes in blocks, which are not put together")
                                         : OSP_OK;
        if (!is_error_answer(c->answer.msg, &error))
            return client_edhoc_is_lost(c, onion) ? OSP_E_NO_CONTEXT : fail_by_answer(c, k);
        if (error.code != OSP_EDHOC_ERR_SUITE || tries > 0)
            return fail_by_peer(c, k, &error);
        if (osp_edhoc_suite_choose(&k->plan.profile.suites, &error.suites_r, &suite) != OSP_OK)
            return fail(c, k, OSP_E_EDHOC_SUITE, "no suite that both sides support");
        tell_message(c, k, false, "error 2, the suites of the peer", c->answer.msg->payload.n);
    }
    return OSP_E_EDHOC_SUITE;
}

static enum osp_err
take_message_2(struct client *c, struct client_key *k, struct osp_edhoc *s)
{
    enum osp_err e;

    tell_message(c, k, false, "message_2", c->answer.msg->payload.n);
    e = osp_edhoc_take_message_2(s, c->answer.msg->payload, NULL);
    if (e != OSP_OK)
        return fail(c, k, e, "message_2: %s", osp_err_text(e));
    if (!osprey_edhoc_is_expected(&k->plan, osp_edhoc_who(s)))
        return fail(c, k, OSP_E_CERTIFICATE, "its certificate is another's");
    return OSP_OK;
}

/* Sends message_3 on its own; reads message_4 if the peer sends it or has to. */
static enum osp_err
second_round(struct client *c, struct client_key *k, struct osprey_onion *onion, struct osp_edhoc *s)
{
    uint8_t                bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr          w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_edhoc_error error = { 0 };
    struct osp_slice       answer;
    enum osp_err           e;

    osp_edhoc_cid_put(&w, osp_edhoc_c_r(s));
    e = osp_edhoc_make_message_3(s, OSP_EMPTY, &w);
    if (e != OSP_OK)
        return e;
    tell_message(c, k, true, "message_3", w.n);
    e = post(c, k, onion, osp_wr_slice(&w));
    if (e != OSP_OK)
        return e;
    answer = c->answer.msg->payload;
    if (is_error_answer(c->answer.msg, &error))
        return fail_by_peer(c, k, &error);
    if (c->answer.msg->code != OSP_CODE(2, 4))
        return fail_by_answer(c, k);
    if (answer.n == 0)
        return c->args.message_4 ? fail(c, k, OSP_E_EDHOC_AUTH, "it sends no message_4") : OSP_OK;
    tell_message(c, k, false, "message_4", answer.n);
    e = osp_edhoc_take_message_4(s, answer, NULL);
    return e == OSP_OK ? OSP_OK : fail(c, k, e, "message_4: %s", osp_err_text(e));
}

/* Keeps message_3 for the first request under the new context. */
static enum osp_err
hold_message_3(struct client_key *k, struct osp_edhoc *s)
{
    struct osp_wr w = osp_wr_to(k->message_3, sizeof(k->message_3));
    enum osp_err  e = osp_edhoc_make_message_3(s, OSP_EMPTY, &w);

    k->message_3_len = w.n;
    return e;
}

/* Runs one EDHOC session and makes its context. */
static enum osp_err
run(struct client *c, struct client_key *k, struct osprey_onion *onion)
{
    struct osp_edhoc s;
    enum osp_err     e;

    k->reused = false;
    k->plan.profile.has_message_4 = !c->args.combined;
    if (!choose_c_i(c, k))
        return OSP_E_EDHOC_CID;
    osp_edhoc_init(&s, OSP_EDHOC_INITIATOR, &k->plan.profile, c->crypto, 0);
    e = first_round(c, k, onion, &s);
    if (e == OSP_OK) {
        e = take_message_2(c, k, &s);
        if (e != OSP_OK)
            send_error(c, k, onion, &s, e);
    }
    if (e == OSP_OK)
        e = c->args.combined ? hold_message_3(k, &s) : second_round(c, k, onion, &s);
    if (e == OSP_OK)
        e = make_context(c, k, &s);
    osp_edhoc_fini(&s);
    if (e != OSP_OK)
        return e;
    if (c->args.combined)
        k->ctx->sec.message_3 = osp_slice(k->message_3, k->message_3_len);
    else
        keep(c, k);
    if (c->show.level)
        fprintf(c->show.to, "  = EDHOC with %s: done, method %d, suite %d\n", k->plan.peer, k->method, k->suite);
    return OSP_OK;
}

/* ---- what the rest of the client asks for ---- */

/* Finds the kept context that its peer does not know any more, as it said in an unprotected answer. */
static struct client_key *
find_lost(struct client *c, const struct osprey_onion *onion)
{
    uint8_t code = c->answer.msg->code;
    size_t  level = c->answer.level;

    if (level == 0 || (code != OSP_CODE(4, 1) && code != OSP_CODE(4, 0)) || osp_msg_has(c->answer.msg, OSP_OPT_ECHO))
        return NULL;
    for (size_t i = 0; i < c->key_count; i++)
        if (c->keys[i].ctx && c->keys[i].reused && onion->seals[level - 1].sec == &c->keys[i].ctx->sec)
            return &c->keys[i];
    return NULL;
}

bool
client_edhoc_is_lost(struct client *c, const struct osprey_onion *onion)
{
    return find_lost(c, onion) != NULL;
}

/* Anybody could have sent that answer.  It costs one new session at most, since a new context is not dropped again. */
static bool
drop_lost(struct client *c, const struct osprey_onion *onion)
{
    struct client_key *k = find_lost(c, onion);

    if (!k)
        return false;
    if (c->show.level)
        fprintf(c->show.to, "  = EDHOC with %s: the kept context is not known there any more\n", k->plan.peer);
    k->reused = false;
    k->renew = true;
    k->ctx = NULL;
    *k->slot = &unmade;
    return true;
}

static enum osp_err
establish_one(struct client *c, struct client_key *k, struct osprey_onion *onion)
{
    enum osp_err e = OSP_E_NOT_FOUND;

    if (!c->args.fresh && !k->renew)
        e = take_kept(c, k);
    if (e == OSP_E_STORE)
        return fail(c, k, e, "%s", osprey_state_why());
    return e == OSP_E_NOT_FOUND ? run(c, k, onion) : e;
}

enum osp_err
client_edhoc_establish(struct client *c, struct osprey_onion *onion)
{
    for (size_t i = 0; i < c->key_count; i++) {
        enum osp_err e = c->keys[i].ctx ? OSP_OK : establish_one(c, &c->keys[i], onion);

        if (e == OSP_E_NO_CONTEXT && drop_lost(c, onion))
            i = SIZE_MAX;       /* a hop before it has to be made anew first; each hop only once */
        else if (e != OSP_OK)
            return e;
    }
    return OSP_OK;
}

enum osp_err
client_edhoc_renew(struct client *c, struct osprey_onion *onion, bool *again)
{
    enum osp_err e = OSP_OK;

    *again = drop_lost(c, onion);
    if (*again)
        e = client_edhoc_establish(c, onion);
    return e;
}

enum osp_err
client_edhoc_confirm(struct client *c, const struct osprey_onion *onion)
{
    struct osp_edhoc_error error = { 0 };

    for (size_t i = 0; i < c->key_count; i++) {
        struct client_key *k = &c->keys[i];

        for (size_t n = 0; n < onion->seal_count && k->ctx && k->ctx->sec.message_3.n; n++) {
            if (onion->seals[n].sec != &k->ctx->sec)
                continue;
            if (n + 1 == c->answer.level && is_error_answer(c->answer.msg, &error))
                return fail_by_peer(c, k, &error);
            if (n < c->answer.level)
                continue;
            k->ctx->sec.message_3 = OSP_EMPTY;  /* the answer verified under this context, so the peer has the keys */
            keep(c, k);
        }
    }
    return OSP_OK;
}

void
client_edhoc_fini(struct client *c)
{
    for (size_t i = 0; i < OSPREY_LAYERS_MAX; i++)
        osp_recipe_free(c->keys[i].recipe);
    osprey_edhoc_fini(&c->edhoc);
}
