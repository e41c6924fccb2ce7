/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demo origin as EDHOC Responder [rfc9528#A.2], for requests under any layers, and message_3 in combined requests
 * [rfc9668#3.3].
 *
 * Its contexts are not on disk and end with the process, so no sequence number can be used twice.  A client that uses one after a
 * restart is told that it is unknown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/digest.h"
#include "daemon/osprey/origin/origin.h"
#include "msg/option.h"
#include "oscore/recipe.h"

#define C_R_TRIES 64
#define SESSION_US OSP_SEC(60)
#define ERROR_MAX 256

/* ---- answers ---- */

static void
answer(struct osp_msg *reply, uint8_t code, struct osp_slice payload)
{
    static const uint8_t format = OSP_FORMAT_EDHOC;

    osp_msg_init(reply, code);
    if (payload.n && osp_msg_add(reply, OSP_OPT_CONTENT_FORMAT, osp_slice(&format, 1)) == OSP_OK)
        reply->payload = payload;
}

/* [rfc9528#A.2.3] Makes an error message.  `s` NULL: it belongs to no session, or must not tell details. */
static void
answer_error(struct osp_msg *reply, struct osp_edhoc *s, enum osp_err why)
{
    static uint8_t bytes[ERROR_MAX];    /* static, since the answer borrows it; there is one answer at a time */
    struct osp_wr  w = osp_wr_to(bytes, sizeof(bytes));

    if ((!s || osp_edhoc_make_error(s, &w) != OSP_OK) && osp_edhoc_put_error(&w, why) != OSP_OK)
        w.n = 0;
    answer(reply, osp_err_class(why) == OSP_CLASS_LOCAL ? OSP_CODE(5, 0) : OSP_CODE(4, 0), osp_wr_slice(&w));
}

/* ---- sessions ---- */

static struct osp_slice
cr_of(const struct origin_session *x)
{
    return osp_slice(x->c_r.bytes, x->c_r.len);
}

/* Ends a session.  Its C_R becomes free, unless a context has it. */
static void
end(struct origin *o, struct origin_session *x)
{
    if (!x->used)
        return;
    if (!x->finished)
        osp_octx_runtime_release(o->edhoc.runtime, cr_of(x));
    osp_edhoc_fini(&x->edhoc);
    x->used = false;
}

/* A free place for a session, or the oldest session, which ends; sessions whose time is over end, too. */
static struct origin_session *
new_session(struct origin *o)
{
    struct osp_time        now = osprey_now();
    struct origin_session *best = NULL;

    for (size_t i = 0; i < ORIGIN_SESSIONS_MAX; i++) {
        struct origin_session *x = &o->edhoc.sessions[i];

        if (x->used && osp_time_due(osp_time_after(x->since, SESSION_US), now))
            end(o, x);
        if (!best || (best->used && (!x->used || x->since.us < best->since.us)))
            best = x;
    }
    end(o, best);
    *best = (struct origin_session){ .used = true, .since = now };
    return best;
}

static struct origin_session *
find(struct origin *o, struct osp_slice c_r)
{
    struct origin_session *found = NULL;

    for (size_t i = 0; i < ORIGIN_SESSIONS_MAX; i++) {
        struct origin_session *x = &o->edhoc.sessions[i];

        if (x->used && osp_slice_eq(cr_of(x), c_r) && (!found || found->finished))
            found = x;
    }
    return found;
}

/* ---- message_1 ---- */

/* Chooses a C_R that no other context here has, and that is not C_I [rfc9668#4.1.2]. */
static bool
choose_c_r(struct origin *o, struct origin_session *x, struct osp_slice c_i)
{
    for (unsigned i = 0; i < C_R_TRIES; i++) {
        x->c_r.len = i < C_R_TRIES / 2 ? 1 : 3;
        osp_randbuf_take(&o->rand, x->c_r.bytes, x->c_r.len);
        if (x->c_r.len == 1)    /* 00 to 17 and 20 to 37 travel as one byte [rfc9528#3.3.2] */
            x->c_r.bytes[0] = (uint8_t)((x->c_r.bytes[0] % 24) | (x->c_r.bytes[0] & 0x80 ? 0x20 : 0));
        if (!osp_slice_eq(cr_of(x), c_i) && !(o->table && osp_octx_configured_has_id(o->table, cr_of(x))) &&
            osp_octx_runtime_reserve(o->edhoc.runtime, cr_of(x)) == OSP_OK)
            return true;
    }
    x->c_r.len = 0;
    return false;
}

static enum osp_err
begin(struct origin *o, struct origin_session *x, struct osp_slice message)
{
    struct osp_edhoc_message_1 m;
    uint8_t                    seed[32];
    struct osp_wr              w = osp_wr_to(x->answer, sizeof(x->answer));
    enum osp_err               e;

    osp_edhoc_init(&x->edhoc, OSP_EDHOC_RESPONDER, &o->edhoc.profile, o->server.crypto, (int64_t)time(NULL));
    e = osp_edhoc_take_message_1(&x->edhoc, message, NULL);
    if (e == OSP_OK)
        e = osp_edhoc_peek_message_1(message, &m);
    if (e == OSP_OK && !choose_c_r(o, x, m.c_i))
        e = OSP_E_OVERLOAD;
    if (e != OSP_OK)
        return e;
    osp_randbuf_take(&o->rand, seed, sizeof(seed));
    e = osp_edhoc_make_message_2(&x->edhoc, seed, cr_of(x), OSP_EMPTY, &w);
    osp_wipe(seed, sizeof(seed));
    x->answer_len = w.n;
    return e;
}

static void
on_message_1(struct origin *o, struct osp_slice message, struct osp_msg *reply)
{
    uint8_t                hash[32];
    struct origin_session *x;
    enum osp_err           e = osp_digest(OSP_SHA256, &message, 1, hash);

    for (size_t i = 0; i < ORIGIN_SESSIONS_MAX && e == OSP_OK; i++) {
        x = &o->edhoc.sessions[i];
        if (x->used && !x->finished && memcmp(x->message_1, hash, sizeof(hash)) == 0) { /* [rfc9528#7] */
            answer(reply, OSP_CODE(2, 4), osp_slice(x->answer, x->answer_len));
            return;
        }
    }
    x = new_session(o);
    memcpy(x->message_1, hash, sizeof(hash));
    if (e == OSP_OK)
        e = begin(o, x, message);
    if (e == OSP_OK) {
        answer(reply, OSP_CODE(2, 4), osp_slice(x->answer, x->answer_len));
        return;
    }
    answer_error(reply, &x->edhoc, e);
    end(o, x);
}

/* ---- message_3 ---- */

/* Puts the context in the place of the oldest one.  It may use all numbers, since its keys end with this process. */
static enum osp_err
take_over(struct origin *o, struct osp_octx *c, const struct osp_edhoc_who *who)
{
    static const struct osp_replay empty;
    struct osp_key_limits          limits = osp_key_limits_default(osp_octx_aead(c));
    struct origin_client          *slot = &o->edhoc.clients[o->edhoc.made % ORIGIN_CLIENTS_MAX];
    const char                    *name = who->by_chain ? who->name : o->edhoc.credentials.file->trusted[who->label].name;
    enum osp_err                   e;

    if (slot->octx) {
        (void)osp_octx_runtime_remove(o->edhoc.runtime, slot->octx);
        osp_octx_unref(slot->octx);
        slot->octx = NULL;
    }
    limits.stop = true;
    osp_octx_set_limits(c, &limits);
    if (!o->require_echo)
        osp_octx_set_window(c, &empty);
    osp_octx_grant(c, 0, OSP_PIV_MAX + 1);
    e = osp_octx_runtime_add(o->edhoc.runtime, c);
    if (e != OSP_OK)
        return e;
    slot->octx = c;
    slot->label = osp_octx_label(c);
    snprintf(slot->name, sizeof(slot->name), "%s", name);
    o->edhoc.made++;
    return OSP_OK;
}

static enum osp_err
make_context(struct origin *o, const struct osp_edhoc *s)
{
    struct osp_edhoc_oscore made;
    struct osp_octx        *c = NULL;
    enum osp_err            e = osp_edhoc_oscore(s, &made);
    struct osp_octx_params  p;

    if (e != OSP_OK)
        return e;
    p = osp_edhoc_octx_params(&made, OSP_RECIPE_LABEL | o->edhoc.made);
    e = osp_octx_new(&p, &c);
    osp_wipe(&made, sizeof(made));
    if (e != OSP_OK)
        return e;
    e = take_over(o, c, osp_edhoc_who(s));
    if (e != OSP_OK)
        osp_octx_unref(c);
    return e;
}

static enum osp_err
complete(struct origin *o, struct origin_session *x, struct osp_slice message, bool combined)
{
    struct osp_wr w = osp_wr_to(x->answer, sizeof(x->answer));
    enum osp_err  e = combined ? osp_edhoc_take_combined(&x->edhoc, message, NULL)
                               : osp_edhoc_take_message_3(&x->edhoc, message, NULL);

    if (e == OSP_OK && o->edhoc.profile.has_message_4)
        e = osp_edhoc_make_message_4(&x->edhoc, OSP_EMPTY, &w);
    if (e == OSP_OK)
        e = make_context(o, &x->edhoc);
    if (e != OSP_OK)
        return e;
    osp_octx_runtime_release(o->edhoc.runtime, cr_of(x));   /* now the context has this identifier */
    x->answer_len = w.n;
    x->finished = true;
    x->since = osprey_now();
    return OSP_OK;
}

/* Finds the session that message_3 completes, or has completed before.  NULL: *reply says what is wrong. */
static struct origin_session *
on_message_3(struct origin *o, struct osp_slice c_r, struct osp_slice message, bool combined, struct osp_msg *reply)
{
    struct origin_session *x = find(o, c_r);
    uint8_t                hash[32];
    enum osp_err           e = osp_digest(OSP_SHA256, &message, 1, hash);

    if (e != OSP_OK || !x) {
        answer_error(reply, NULL, e != OSP_OK ? e : OSP_E_EDHOC_SESSION);
        return NULL;
    }
    if (x->finished && memcmp(x->message_3, hash, sizeof(hash)) == 0)
        return x;
    if (x->finished) {          /* a complete session does not change */
        answer_error(reply, NULL, OSP_E_EDHOC_STATE);
        return NULL;
    }
    e = complete(o, x, message, combined);
    if (e == OSP_OK) {
        memcpy(x->message_3, hash, sizeof(hash));
        return x;
    }
    answer_error(reply, combined ? NULL : &x->edhoc, e);
    end(o, x);
    return NULL;
}

/* [rfc9668#3.3.1] */
static enum osp_err
on_combined(void *ctx, struct osp_slice kid, struct osp_msg *m, struct osp_msg *reply)
{
    struct origin   *o = ctx;
    struct osp_slice message, ciphertext;

    if (osp_edhoc_split_combined(m->payload, &message, &ciphertext) != OSP_OK) {
        osp_msg_init(reply, OSP_CODE(4, 0));
        return OSP_E_BAD_REQUEST;
    }
    if (!on_message_3(o, kid, message, true, reply))
        return OSP_E_EDHOC_SESSION;
    osp_msg_remove(m, OSP_OPT_EDHOC);
    m->payload = ciphertext;
    return OSP_OK;
}

/* ---- the resource ---- */

/* Handles an error message of the client [rfc9528#6]. */
static void
on_error(struct origin *o, struct osp_slice c_r, struct osp_msg *reply)
{
    struct origin_session *x = find(o, c_r);

    if (x && !x->finished)
        end(o, x);
    answer(reply, OSP_CODE(2, 4), OSP_EMPTY);
}

bool
origin_edhoc_ask(struct origin *o, const struct osp_msg *req, struct osprey_reply *reply)
{
    const struct osp_opt    *format = osp_msg_get(req, OSP_OPT_CONTENT_FORMAT);
    char                     path[OSPREY_PATH_MAX];
    struct osp_edhoc_request m;
    struct origin_session   *x;
    uint32_t                 v = OSP_FORMAT_CID_EDHOC;

    osprey_path_print(req, path);
    if (!o->edhoc.runtime || strcmp(path, "/.well-known/edhoc") != 0)
        return false;
    if (req->code != OSP_POST)
        osp_msg_init(&reply->msg, OSP_CODE(4, 5));
    else if (format && (!osp_opt_uint(format->val, &v) || v != OSP_FORMAT_CID_EDHOC))
        osp_msg_init(&reply->msg, OSP_CODE(4, 15));
    else if (osp_edhoc_split_request(req->payload, &m) != OSP_OK)
        answer_error(&reply->msg, NULL, OSP_E_FORMAT);
    else if (m.is_message_1)
        on_message_1(o, m.message, &reply->msg);
    else if (osp_edhoc_is_error(m.message))
        on_error(o, m.c_r, &reply->msg);
    else if ((x = on_message_3(o, m.c_r, m.message, false, &reply->msg)))
        answer(&reply->msg, OSP_CODE(2, 4), osp_slice(x->answer, x->answer_len));
    return true;
}

const char *
origin_edhoc_name(const struct origin *o, uint32_t label)
{
    for (size_t i = 0; i < ORIGIN_CLIENTS_MAX; i++)
        if (o->edhoc.clients[i].octx && o->edhoc.clients[i].label == label)
            return o->edhoc.clients[i].name;
    return NULL;
}

/* ---- start and end ---- */

bool
origin_edhoc_start(struct origin *o)
{
    static const struct osp_edhoc_suites all = { { 2, 0, 3, 1, 4, 5, 6 }, 7 };
    struct osp_edhoc_profile            *p = &o->edhoc.profile;
    struct osprey_edhoc                 *c = &o->edhoc.credentials;
    struct osp_hash_key                  key;

    if (!o->edhoc_file)
        return true;
    if (!osprey_edhoc_load(c, o->edhoc_file, false))
        return false;
    if (p->suites.count == 0)
        p->suites = all;
    p->methods = 0x0f;
    p->own = c->own;
    p->own_count = c->own_count;
    p->find = osp_edhoc_peers_find;
    p->find_ctx = &c->peers;
    p->anchors = c->anchors;
    p->chain_label = c->chain_label;
    osp_randbuf_take(&o->rand, (uint8_t *)&key, sizeof(key));
    if (osp_octx_runtime_new(ORIGIN_CLIENTS_MAX + ORIGIN_SESSIONS_MAX, key, &o->edhoc.runtime) != OSP_OK)
        return origin_complain("start", "out of memory");
    o->server.runtime = o->edhoc.runtime;
    o->server.combined = on_combined;
    o->server.combined_ctx = o;
    return true;
}

void
origin_edhoc_fini(struct origin *o)
{
    for (size_t i = 0; i < ORIGIN_SESSIONS_MAX && o->edhoc.runtime; i++)
        end(o, &o->edhoc.sessions[i]);
    for (size_t i = 0; i < ORIGIN_CLIENTS_MAX; i++)
        if (o->edhoc.clients[i].octx)
            osp_octx_unref(o->edhoc.clients[i].octx);
    osp_octx_runtime_free(o->edhoc.runtime);
    osprey_edhoc_fini(&o->edhoc.credentials);
}
