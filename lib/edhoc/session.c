/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions: the table that says which message is possible in which state, and the results of a session. */
#include "crypto/pk.h"
#include "edhoc/impl.h"

/* ---- the table ---- */

enum message { M1 = 1, M2, M3, M4, MERROR };
enum direction { MAKE, TAKE };

#define I OSP_EDHOC_INITIATOR
#define R OSP_EDHOC_RESPONDER
#define S(name) OSP_EDHOC_##name

/*
 * (role, message, state) -> handler and next state, without and with message_4.  A combination that is not in the table is
 * an error [rfc9528#5.1].
 */
static const struct row {
    enum osp_edhoc_role  role;
    enum message         message;
    enum direction       direction;
    enum osp_edhoc_state state;
    enum osp_err (*handler)(struct osp_edhoc *s, const struct edh_args *a);
    enum osp_edhoc_state next, next_with_m4;
} table[] = {
    { I, M1, MAKE, S(START), edh_make_1, S(WAIT_M2), S(WAIT_M2) },
    { I, M2, TAKE, S(WAIT_M2), edh_take_2, S(VRFD_M2), S(VRFD_M2) },
    { I, MERROR, TAKE, S(WAIT_M2), edh_take_error, S(ABORTED), S(ABORTED) },
    { I, M3, MAKE, S(VRFD_M2), edh_make_3, S(COMPLETED), S(WAIT_M4) },
    { I, M4, TAKE, S(WAIT_M4), edh_take_4, S(COMPLETED), S(COMPLETED) },
    { I, MERROR, TAKE, S(WAIT_M4), edh_take_error, S(ABORTED), S(ABORTED) },
    { R, M1, TAKE, S(START), edh_take_1, S(VRFD_M1), S(VRFD_M1) },
    { R, M2, MAKE, S(VRFD_M1), edh_make_2, S(WAIT_M3), S(WAIT_M3) },
    { R, M3, TAKE, S(WAIT_M3), edh_take_3, S(COMPLETED), S(VRFD_M3) },
    { R, MERROR, TAKE, S(WAIT_M3), edh_take_error, S(ABORTED), S(ABORTED) },
    { R, M4, MAKE, S(VRFD_M3), edh_make_4, S(COMPLETED), S(COMPLETED) },
};
#undef I
#undef R
#undef S

static const struct row *
row_of(const struct osp_edhoc *s, enum message m, enum direction d)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].role == s->role && table[i].message == m && table[i].direction == d && table[i].state == s->state)
            return &table[i];
    return NULL;
}

/* Wipes the keys that nothing needs any more [rfc9528#9.8]. */
static void
wipe_schedule(struct osp_edhoc *s)
{
    osp_wipe(s->ephemeral, sizeof(s->ephemeral));
    osp_wipe(s->prk, sizeof(s->prk));
}

static void
enter(struct osp_edhoc *s, enum osp_edhoc_state state)
{
    s->state = state;
    if (state == OSP_EDHOC_COMPLETED || state == OSP_EDHOC_ABORTED)
        wipe_schedule(s);
    if (state == OSP_EDHOC_ABORTED) {
        osp_wipe(s->prk_exporter, sizeof(s->prk_exporter));
        s->has_keys = false;
    }
}

/* Makes or takes one message, as the table says. */
static enum osp_err
step(struct osp_edhoc *s, enum message m, enum direction d, const struct edh_args *a)
{
    const struct row *r = row_of(s, m, d);
    size_t            before = a->out ? a->out->n : 0;
    enum osp_err      e;

    if (s->state == OSP_EDHOC_COMPLETED || s->state == OSP_EDHOC_ABORTED)
        return OSP_E_EDHOC_STATE;
    e = r ? r->handler(s, a) : OSP_E_EDHOC_STATE;
    if (e == OSP_OK) {
        enter(s, s->profile->has_message_4 ? r->next_with_m4 : r->next);
        return OSP_OK;
    }
    if (a->out)
        a->out->n = before;
    /* [rfc9528#6] no error message if message_1 was never sent, and none in answer to an error message */
    if (m != MERROR && !(m == M1 && d == MAKE))
        s->failure = e;
    enter(s, OSP_EDHOC_ABORTED);
    return e;
}

/* ---- public: begin, end, messages ---- */

void
osp_edhoc_init(struct osp_edhoc *s, enum osp_edhoc_role role, const struct osp_edhoc_profile *profile, struct osp_crypto *crypto,
               int64_t now_s)
{
    *s = (struct osp_edhoc){ .profile = profile, .crypto = crypto, .now_s = now_s, .role = role };
}

void
osp_edhoc_attach(struct osp_edhoc *s, const struct osp_edhoc_profile *profile, struct osp_crypto *crypto)
{
    s->profile = profile;
    s->crypto = crypto;
}

void
osp_edhoc_fini(struct osp_edhoc *s)
{
    osp_wipe(s, sizeof(*s));
    s->state = OSP_EDHOC_ABORTED;
}

enum osp_edhoc_state
osp_edhoc_state(const struct osp_edhoc *s)
{
    return s->state;
}

enum osp_err
osp_edhoc_make_message_1(struct osp_edhoc *s, uint8_t method, int64_t suite, const uint8_t seed[32], struct osp_slice c_i,
                         struct osp_slice ead, struct osp_wr *out)
{
    struct edh_args a = { .method = method, .suite = suite, .seed = seed, .cid = c_i, .ead = ead, .out = out };

    return step(s, M1, MAKE, &a);
}

enum osp_err
osp_edhoc_take_message_1(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads)
{
    return step(s, M1, TAKE, &(struct edh_args){ .in = message, .eads = eads });
}

enum osp_err
osp_edhoc_make_message_2(struct osp_edhoc *s, const uint8_t seed[32], struct osp_slice c_r, struct osp_slice ead,
                         struct osp_wr *out)
{
    return step(s, M2, MAKE, &(struct edh_args){ .seed = seed, .cid = c_r, .ead = ead, .out = out });
}

enum osp_err
osp_edhoc_take_message_2(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads)
{
    return step(s, M2, TAKE, &(struct edh_args){ .in = message, .eads = eads });
}

enum osp_err
osp_edhoc_make_message_3(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *out)
{
    return step(s, M3, MAKE, &(struct edh_args){ .ead = ead, .out = out });
}

enum osp_err
osp_edhoc_take_message_3(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads)
{
    return step(s, M3, TAKE, &(struct edh_args){ .in = message, .eads = eads });
}

enum osp_err
osp_edhoc_make_message_4(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *out)
{
    return step(s, M4, MAKE, &(struct edh_args){ .ead = ead, .out = out });
}

enum osp_err
osp_edhoc_take_message_4(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads)
{
    return step(s, M4, TAKE, &(struct edh_args){ .in = message, .eads = eads });
}

enum osp_err
osp_edhoc_take_error(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_error *out)
{
    return step(s, MERROR, TAKE, &(struct edh_args){ .in = message, .error = out });
}

enum osp_err
osp_edhoc_take_combined(struct osp_edhoc *s, struct osp_slice message_3, struct osp_edhoc_eads *eads)
{
    if (s->state == OSP_EDHOC_WAIT_M3 && s->profile->has_message_4) {
        s->failure = OSP_E_BAD_REQUEST;
        enter(s, OSP_EDHOC_ABORTED);
        return OSP_E_BAD_REQUEST;
    }
    return osp_edhoc_take_message_3(s, message_3, eads);
}

/* ---- public: results ---- */

const struct osp_edhoc_who *
osp_edhoc_who(const struct osp_edhoc *s)
{
    bool proven = s->has_keys || s->state == OSP_EDHOC_VRFD_M2;

    return proven ? &s->who : NULL;
}

struct osp_slice
osp_edhoc_c_i(const struct osp_edhoc *s)
{
    return edh_cid(&s->c_i);
}

struct osp_slice
osp_edhoc_c_r(const struct osp_edhoc *s)
{
    return edh_cid(&s->c_r);
}

enum osp_err
osp_edhoc_exporter(const struct osp_edhoc *s, uint32_t label, struct osp_slice context, uint8_t *out, size_t n)
{
    if (!s->has_keys)
        return OSP_E_EDHOC_STATE;
    return osp_edhoc_kdf(s->suite->digest, osp_slice(s->prk_exporter, osp_digest_len(s->suite->digest)), label, context, out, n);
}

/* [rfc9528#A.1] */
enum osp_err
osp_edhoc_oscore(const struct osp_edhoc *s, struct osp_edhoc_oscore *out)
{
    bool                       initiator = s->role == OSP_EDHOC_INITIATOR;
    const struct osp_aead_info *info = s->has_keys ? osp_aead_info(s->suite->app_aead) : NULL;
    struct osp_edhoc_oscore     o = { 0 };
    enum osp_err                e = info ? OSP_OK : OSP_E_EDHOC_STATE;

    if (e == OSP_OK)
        e = osp_edhoc_exporter(s, 0, OSP_EMPTY, o.master_secret, info->key_len);
    if (e == OSP_OK)
        e = osp_edhoc_exporter(s, 1, OSP_EMPTY, o.master_salt, sizeof(o.master_salt));
    if (e == OSP_OK) {
        o.master_secret_len = info->key_len;
        o.sender_id = initiator ? s->c_r : s->c_i;
        o.recipient_id = initiator ? s->c_i : s->c_r;
        o.aead = s->suite->app_aead;
        o.hkdf = s->suite->app_hkdf;
        *out = o;
    }
    osp_wipe(&o, sizeof(o));
    return e;
}

struct osp_octx_params
osp_edhoc_octx_params(const struct osp_edhoc_oscore *o, uint32_t label)
{
    return (struct osp_octx_params){
        .aead = o->aead,
        .hkdf = o->hkdf,
        .master_secret = osp_slice(o->master_secret, o->master_secret_len),
        .master_salt = osp_slice(o->master_salt, sizeof(o->master_salt)),
        .sender_id = edh_cid(&o->sender_id),
        .recipient_id = edh_cid(&o->recipient_id),
        .label = label,
    };
}

struct osp_edhoc_secrets
osp_edhoc_secrets(const struct osp_edhoc *s)
{
    size_t n = s->suite ? osp_digest_len(s->suite->digest) : 0;

    return (struct osp_edhoc_secrets){ osp_slice(s->th, n), osp_slice(s->prk, n), osp_slice(s->prk_exporter, n) };
}

/* ---- for the messages ---- */

struct osp_slice
edh_cid(const struct osp_edhoc_cid *c)
{
    return osp_slice(c->bytes, c->len);
}

enum osp_err
edh_keep_cid(const struct osp_edhoc *s, struct osp_slice cid, struct osp_edhoc_cid *to)
{
    size_t max = osp_aead_info(s->suite->app_aead)->nonce_len - 6u;     /* [rfc8613#3.3] */

    if (cid.n > max || !osp_slice_copy(cid, to->bytes, sizeof(to->bytes)))
        return OSP_E_EDHOC_CID;
    to->len = (uint8_t)cid.n;
    return OSP_OK;
}

struct osp_slice
edh_th(const struct osp_edhoc *s)
{
    return osp_slice(s->th, osp_digest_len(s->suite->digest));
}

struct osp_slice
edh_prk(const struct osp_edhoc *s)
{
    return osp_slice(s->prk, osp_digest_len(s->suite->digest));
}

bool
edh_by_dh(uint8_t method, enum osp_edhoc_role role)
{
    return role == OSP_EDHOC_INITIATOR ? (method & 2) != 0 : (method & 1) != 0;
}

const struct osp_edhoc_own *
edh_own(const struct osp_edhoc_profile *p, enum osp_edhoc_role role, uint8_t method, const struct osp_edhoc_suite *suite)
{
    int curve = edh_by_dh(method, role) ? suite->curve : osp_edhoc_sign_curve(suite);

    for (size_t i = 0; i < p->own_count; i++)
        if (p->own[i].cred.key.curve == curve)
            return &p->own[i];
    return NULL;
}

void
edh_usable_suites(const struct osp_edhoc *s, struct osp_edhoc_suites *out)
{
    const struct osp_edhoc_profile *p = s->profile;

    out->count = 0;
    for (size_t i = 0; i < p->suites.count; i++) {
        const struct osp_edhoc_suite *suite = osp_edhoc_suite(p->suites.value[i]);

        if (suite && edh_own(p, s->role, s->method, suite))
            out->value[out->count++] = suite->value;
    }
}

enum osp_err
edh_check_ead(struct osp_slice ead)
{
    enum osp_err e = osp_edhoc_ead_read(ead, NULL, 0, NULL);

    return e == OSP_E_EDHOC_EAD ? OSP_OK : e;   /* critical items concern the other side only */
}
