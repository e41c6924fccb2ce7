/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting protection on: requests as a client, responses as a server. */
#include "group/impl.h"
#include "msg/option.h"
#include "oscore/parts.h"

/* What one protection needs beside the message. */
struct seal {
    struct osp_group    *g;
    const struct osp_aead_info *aead;
    const uint8_t       *key;           /* NULL: derived from the hash of the request */
    struct osp_group_aad aad;
    struct osp_slice     nonce_id, nonce_piv;       /* the nonce's Partial IV, and the ID of who generated it */
    bool                 sign, request;
    uint8_t              code;          /* outer code */
    bool                 observe_outer;
};

/* Sorts the options of `in`: inner ones into `inner`, outer ones into `out`. */
static enum osp_err
split_options(const struct seal *s, const struct osp_msg *in, const uint8_t *classes, struct osp_msg *inner, struct osp_msg *out)
{
    enum osp_err e = OSP_OK;

    for (size_t i = 0; i < in->opt_count && e == OSP_OK; i++) {
        const struct osp_opt *o = &in->opts[i];
        bool                  observe = o->num == OSP_OPT_OBSERVE;

        if (o->num == OSP_OPT_REQUEST_HASH) /* only this file makes a Request-Hash */
            return OSP_E_INVALID;
        if (osp_opt_is_outer(classes[i])) {
            e = osp_msg_add(out, o->num, o->val);
            continue;
        }
        /* [rfc8613#4.1.3.5] the Inner Observe of a notification is empty */
        e = osp_msg_add(inner, o->num, observe && !s->request ? OSP_EMPTY : o->val);
        if (e == OSP_OK && observe && s->observe_outer)
            e = osp_msg_add(out, o->num, o->val);
    }
    return e;
}

/* Writes the encrypted signature over `ciphertext` [gosc#4.1]. */
static enum osp_err
sign(const struct seal *s, struct osp_slice aad_array, struct osp_slice ciphertext, struct osp_wr scratch, uint8_t *out)
{
    size_t       at = scratch.n;
    uint8_t      stream[OSP_SIGNATURE_LEN];
    enum osp_err e = osp_group_sign_structure(aad_array, ciphertext, &scratch);

    if (e == OSP_OK)
        e = osp_group_keystream(s->g, s->nonce_id, s->nonce_piv, s->request, stream, sizeof(stream));
    if (e == OSP_OK)
        e = osp_pk_sign((enum osp_sign)s->g->signature, s->g->private_key, osp_slice_tail(osp_wr_slice(&scratch), at), out);
    for (size_t i = 0; e == OSP_OK && i < sizeof(stream); i++)
        out[i] ^= stream[i];
    osp_wipe(stream, sizeof(stream));
    return e;
}

/* Computes the hash of a deterministic request, its Request-Hash option and its key. */
static enum osp_err
determine(const struct seal *s, struct osp_slice aad_array, struct osp_slice plain, struct osp_group_layer *layer, uint8_t *key,
          struct osp_wr *scratch, struct osp_msg *out)
{
    uint8_t     *value;
    enum osp_err e = osp_group_request_hash(s->g, aad_array, plain, layer->hash);

    if (e != OSP_OK)
        return e;
    layer->hash_len = (uint8_t)osp_digest_len(s->g->det_hash);
    e = osp_group_det_request_key(s->g, osp_slice(layer->hash, layer->hash_len), key);
    if (e != OSP_OK)
        return e;
    value = osp_wr_reserve(scratch, layer->hash_len);
    if (!value || !osp_slice_copy(osp_slice(layer->hash, layer->hash_len), value, layer->hash_len))
        return OSP_E_NOSPACE;
    return osp_msg_add(out, OSP_OPT_REQUEST_HASH, osp_slice(value, layer->hash_len));
}

/* Encrypts code, `inner` options and payload into the payload of `out`, and signs. */
static enum osp_err
encrypt(struct osp_crypto *cr, const struct seal *s, const struct osp_msg *inner, struct osp_group_layer *layer,
        struct osp_wr *scratch, struct osp_msg *out)
{
    uint8_t       aad[GRP_AAD_MAX], enc[GRP_AAD_MAX + 32], nonce[OSP_AEAD_NONCE_MAX], key[OSP_AEAD_KEY_MAX];
    struct osp_wr a = osp_wr_to(aad, sizeof(aad)), x = osp_wr_to(enc, sizeof(enc)), w;
    size_t        plain = 1 + osp_msg_size_body(inner), sealed = plain + s->aead->tag_len;
    size_t        all = sealed + (s->sign ? OSP_SIGNATURE_LEN : 0);
    uint8_t      *to = osp_wr_reserve(scratch, all), *signature;
    enum osp_err  e = to ? osp_group_aad_array(s->g, &s->aad, &a) : OSP_E_NOSPACE;

    if (e != OSP_OK)
        return e;
    w = osp_wr_to(to, all);
    osp_wr_u8(&w, inner->code);
    e = osp_msg_encode_body(inner, &w);
    if (e == OSP_OK && !s->key)
        e = determine(s, osp_wr_slice(&a), osp_slice(to, plain), layer, key, scratch, out);
    if (e == OSP_OK)
        e = osp_group_enc_structure(osp_wr_slice(&a), &x);
    if (e != OSP_OK)
        return e;
    osp_oscore_nonce(s->nonce_id, s->nonce_piv, s->g->common_iv, s->aead->nonce_len, nonce);
    e = osp_aead_seal(cr, s->aead->id, s->key ? s->key : key, nonce, osp_wr_slice(&x), osp_slice(to, plain), to);
    osp_wipe(key, sizeof(key));
    if (e == OSP_OK && !osp_wr_reserve(&w, s->aead->tag_len))
        e = OSP_E_NOSPACE;
    signature = s->sign ? osp_wr_reserve(&w, OSP_SIGNATURE_LEN) : NULL;
    if (e == OSP_OK && s->sign)
        e = sign(s, osp_wr_slice(&a), osp_slice(to, sealed), *scratch, signature);
    out->payload = osp_slice(to, all);
    return e;
}

/* Protects `in`; `extra` is NULL or one more outer option. */
static enum osp_err
seal_message(struct osp_crypto *cr, struct seal *s, const struct osp_group_opt *opt, const struct osp_msg *in,
             const uint8_t *classes, const struct osp_opt *extra, struct osp_group_layer *layer, struct osp_wr *scratch,
             struct osp_msg *out)
{
    size_t         at = scratch->n;
    struct osp_msg inner;
    enum osp_err   e;

    osp_msg_init(&inner, in->code);
    inner.payload = in->payload;
    osp_msg_init(out, s->code);
    out->type = in->type;
    out->mid = in->mid;
    out->token = in->token;
    e = split_options(s, in, classes, &inner, out);
    if (e == OSP_OK && extra)
        e = osp_msg_add(out, extra->num, extra->val);
    if (e == OSP_OK)    /* before the encryption, since the option is part of the AAD [gosc#3.4] */
        e = osp_group_opt_write(opt, scratch);
    if (e != OSP_OK)
        return e;
    s->aad.oscore_option = osp_slice_tail(osp_wr_slice(scratch), at);
    e = osp_msg_add(out, OSP_OPT_OSCORE, s->aad.oscore_option);
    return e == OSP_OK ? encrypt(cr, s, &inner, layer, scratch, out) : e;
}

/* ---- requests ---- */

static void
remember(struct osp_group_layer *l, struct osp_slice kid, struct osp_slice piv)
{
    l->kid_len = (uint8_t)kid.n;
    l->piv_len = (uint8_t)piv.n;
    (void)osp_slice_copy(kid, l->kid, sizeof(l->kid));
    (void)osp_slice_copy(piv, l->piv, sizeof(l->piv));
}

/* Protects the request of `layer`, whose mode, kid and Partial IV are set. */
static enum osp_err
seal_request(struct osp_crypto *cr, struct seal *s, const struct osp_msg *in, const uint8_t *classes,
             struct osp_group_layer *layer, struct osp_wr *scratch, struct osp_msg *out)
{
    struct osp_slice     kid = osp_slice(layer->kid, layer->kid_len), piv = osp_slice(layer->piv, layer->piv_len);
    struct osp_group_opt opt = { .group_mode = s->sign };
    enum osp_err         e;

    s->request = true;
    s->aad.request_kid = s->nonce_id = kid;
    s->aad.request_piv = s->nonce_piv = piv;
    s->observe_outer = layer->observe_outer;
    opt.o = (struct osp_oscore_opt){ .piv = piv, .has_kid = true, .kid = kid, .has_kid_context = true,
                                     .kid_context = osp_group_gid(s->g) };
    e = seal_message(cr, s, &opt, in, classes, NULL, layer, scratch, out);
    if (e != OSP_OK) {
        *layer = (struct osp_group_layer){ 0 };
        return e;
    }
    layer->group = s->g;
    osp_group_ref(s->g);
    return OSP_OK;
}

/* [cacheable#3.4.2] */
enum osp_err
osp_group_protect_deterministic(struct osp_crypto *cr, struct osp_group *g, size_t server, const struct osp_msg *in,
                                const uint8_t *classes, bool observe, struct osp_wr *scratch, struct osp_msg *out,
                                struct osp_group_layer *layer)
{
    static const uint8_t zero[1] = { 0 };
    struct seal          s = { .g = g, .aead = g->pairwise, .code = OSP_FETCH };

    if (!g->has_det || server >= g->member_count || osp_oscore_shows_uri(in, classes))
        return OSP_E_INVALID;
    if (in->code != OSP_GET && in->code != OSP_FETCH)
        return OSP_E_METHOD;
    *layer = (struct osp_group_layer){ .mode = OSP_GROUP_DETERMINISTIC, .peer = server };
    layer->observe = osp_msg_has(in, OSP_OPT_OBSERVE);
    layer->observe_outer = layer->observe && observe;
    remember(layer, grp_id(&g->det_id), osp_slice(zero, 1));
    return seal_request(cr, &s, in, classes, layer, scratch, out);
}

static struct osp_slice
write_piv(uint64_t ssn, uint8_t piv[5])
{
    struct osp_wr w = osp_wr_to(piv, 5);
    size_t        n = 1;

    while (n < 5 && ssn >> (8 * n))
        n++;
    osp_wr_uint(&w, ssn, n);
    return osp_wr_slice(&w);
}

/* [gosc#8.3] [gosc#7.1] */
enum osp_err
osp_group_protect_request(struct osp_crypto *cr, struct osp_group *g, enum osp_group_mode mode, size_t server,
                          const struct osp_msg *in, const uint8_t *classes, struct osp_wr *scratch, struct osp_msg *out,
                          struct osp_group_layer *layer)
{
    bool         signing = mode == OSP_GROUP_SIGNED;
    struct seal  s = { .g = g, .aead = signing ? g->signed_enc : g->pairwise, .sign = signing };
    uint64_t     ssn = 0;
    uint8_t      piv[5];
    enum osp_err e;

    if (mode == OSP_GROUP_DETERMINISTIC || !g->has_self || !s.aead || server >= g->member_count ||
        osp_oscore_shows_uri(in, classes))
        return OSP_E_INVALID;
    e = grp_take_ssn(g, &ssn);
    if (e != OSP_OK)
        return e;
    s.key = signing ? g->sender_key : g->members[server].to;
    s.aad.sender_cred = g->self_credential;
    *layer = (struct osp_group_layer){ .mode = mode, .peer = server };
    layer->observe = layer->observe_outer = osp_msg_has(in, OSP_OPT_OBSERVE);
    s.code = layer->observe ? OSP_FETCH : OSP_POST;     /* [rfc8613#4.2] */
    remember(layer, grp_id(&g->self_id), write_piv(ssn, piv));
    return seal_request(cr, &s, in, classes, layer, scratch, out);
}

/* ---- responses ---- */

/* [cacheable#3.4.4] steps 9 and 1: the outer Max-Age equals the inner one, or the default; it may not be 0 */
static enum osp_err
outer_max_age(const struct osp_msg *in, struct osp_opt *out)
{
    static const uint8_t  minute[1] = { 60 };
    const struct osp_opt *o = osp_msg_get(in, OSP_OPT_MAX_AGE);
    uint32_t              v;

    *out = (struct osp_opt){ OSP_OPT_MAX_AGE, osp_slice(minute, 1) };
    if (!o)
        return OSP_OK;
    if (!osp_opt_uint(o->val, &v) || v == 0)
        return OSP_E_INVALID;
    out->val = o->val;
    return OSP_OK;
}

/* Chooses the nonce: the request's for the first response, except to a deterministic request or if `own`; else one of our own. */
static enum osp_err
choose_nonce(struct osp_group_layer *l, bool own, uint8_t piv[5], struct seal *s, struct osp_group_opt *opt)
{
    uint64_t     ssn = 0;
    enum osp_err e;

    if (!own && !l->nonce_used && l->mode != OSP_GROUP_DETERMINISTIC) {
        l->nonce_used = true;           /* even if encryption fails, the nonce is not used again */
        s->nonce_id = s->aad.request_kid;
        s->nonce_piv = s->aad.request_piv;
        return OSP_OK;
    }
    e = grp_take_ssn(l->group, &ssn);
    if (e != OSP_OK)
        return e;
    opt->o.piv = s->nonce_piv = write_piv(ssn, piv);
    s->nonce_id = grp_id(&l->group->self_id);
    return OSP_OK;
}

/* [gosc#8.5] [gosc#7.3] [cacheable#3.4.4] */
enum osp_err
osp_group_protect_response(struct osp_crypto *cr, struct osp_group_layer *layer, const struct osp_msg *in,
                           const uint8_t *classes, unsigned how, struct osp_wr *scratch, struct osp_msg *out)
{
    struct osp_group    *g = layer->group;
    bool                 det = layer->mode == OSP_GROUP_DETERMINISTIC;
    bool                 signing = layer->mode != OSP_GROUP_PAIRWISE || (how & OSP_GROUP_SIGN);
    struct seal          s = { .g = g, .aead = signing ? g->signed_enc : g->pairwise, .sign = signing };
    struct osp_group_opt opt = { .group_mode = signing };
    struct osp_opt       max_age;
    uint8_t              piv[5], class_i[OSP_DIGEST_MAX + 8];
    struct osp_wr        i = osp_wr_to(class_i, sizeof(class_i));
    enum osp_err         e = OSP_OK;

    if (!g->has_self || !s.aead)
        return OSP_E_INVALID;
    s.aad.request_kid = osp_slice(layer->kid, layer->kid_len);
    s.aad.request_piv = osp_slice(layer->piv, layer->piv_len);
    s.aad.sender_cred = g->self_credential;
    s.key = signing ? g->sender_key : g->members[layer->peer].to;
    s.observe_outer = layer->observe_outer;
    s.code = det || (osp_msg_has(in, OSP_OPT_OBSERVE) && layer->observe_outer) ? OSP_CODE(2, 5) : OSP_CODE(2, 4);
    if (det)
        e = outer_max_age(in, &max_age);
    if (e == OSP_OK && det)
        e = osp_group_class_i(osp_slice(layer->hash, layer->hash_len), &i);
    if (e == OSP_OK)
        e = choose_nonce(layer, how & OSP_GROUP_OWN_PIV, piv, &s, &opt);
    if (e != OSP_OK)
        return e;
    s.aad.options = osp_wr_slice(&i);
    opt.o.has_kid = (how & OSP_GROUP_KID) || layer->mode == OSP_GROUP_SIGNED;   /* [gosc#3.2] */
    if (opt.o.has_kid)
        opt.o.kid = grp_id(&g->self_id);
    return seal_message(cr, &s, &opt, in, classes, det ? &max_age : NULL, layer, scratch, out);
}
