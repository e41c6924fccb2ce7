/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking protection off: requests as a server, responses as a client. */
#include "group/impl.h"
#include "oscore/parts.h"

/* What one verification needs beside the message. */
struct open {
    const struct osp_group *g;
    const struct osp_aead_info *aead;
    const uint8_t          *key;
    struct osp_group_aad    aad;
    struct osp_slice        nonce_id, nonce_piv;
    const struct osp_group_key *signer; /* NULL: the message is not signed */
    bool                    request;
    struct osp_slice        hash;       /* Request-Hash of a deterministic request, recomputed after decryption; else empty */
};

/* [gosc#7.4] verifies the signature, before anything is decrypted */
static enum osp_err
verify(const struct open *v, struct osp_slice aad_array, struct osp_slice ciphertext, struct osp_slice signature,
       struct osp_wr scratch)
{
    size_t       at = scratch.n;
    uint8_t      plain[OSP_SIGNATURE_LEN];
    enum osp_err e = osp_group_sign_structure(aad_array, ciphertext, &scratch);

    if (e == OSP_OK)
        e = osp_group_keystream(v->g, v->nonce_id, v->nonce_piv, v->request, plain, sizeof(plain));
    for (size_t i = 0; e == OSP_OK && i < sizeof(plain); i++)
        plain[i] ^= signature.p[i];
    if (e == OSP_OK)
        e = osp_pk_verify((enum osp_sign)v->g->signature, osp_slice(v->signer->bytes, v->signer->len),
                          osp_slice_tail(osp_wr_slice(&scratch), at), osp_slice(plain, sizeof(plain)));
    return e == OSP_E_INVALID ? OSP_E_DECRYPT : e;
}

/* [cacheable#3.4.3] checks that the request has this hash: any member could make a valid tag under another hash */
static enum osp_err
check_hash(const struct open *v, struct osp_slice aad_array, struct osp_slice plain)
{
    uint8_t      hash[OSP_DIGEST_MAX];
    enum osp_err e = osp_group_request_hash(v->g, aad_array, plain, hash);

    if (e == OSP_OK && !osp_equal_ct(v->hash, osp_slice(hash, osp_digest_len(v->g->det_hash))))
        e = OSP_E_DECRYPT;
    return e;
}

/* Opens in->payload into `scratch`: code, then the body decoded into `inner`. */
static enum osp_err
open_message(struct osp_crypto *cr, const struct open *v, const struct osp_msg *in, struct osp_wr *scratch,
             struct osp_msg *inner)
{
    uint8_t          aad[GRP_AAD_MAX], enc[GRP_AAD_MAX + 32], nonce[OSP_AEAD_NONCE_MAX];
    struct osp_wr    a = osp_wr_to(aad, sizeof(aad)), x = osp_wr_to(enc, sizeof(enc));
    size_t           signature = v->signer ? OSP_SIGNATURE_LEN : 0;
    struct osp_slice sealed = osp_slice_head(in->payload, in->payload.n - signature), plain;
    uint8_t         *to;
    enum osp_err     e = osp_group_aad_array(v->g, &v->aad, &a);

    if (in->payload.n <= (size_t)v->aead->tag_len + signature)      /* a plaintext has at least a code */
        return OSP_E_DECRYPT;
    if (e == OSP_OK && v->signer)
        e = verify(v, osp_wr_slice(&a), sealed, osp_slice_tail(in->payload, sealed.n), *scratch);
    if (e == OSP_OK)
        e = osp_group_enc_structure(osp_wr_slice(&a), &x);
    if (e != OSP_OK)
        return e;
    to = osp_wr_reserve(scratch, sealed.n - v->aead->tag_len);
    if (!to)
        return OSP_E_NOSPACE;
    osp_oscore_nonce(v->nonce_id, v->nonce_piv, v->g->common_iv, v->aead->nonce_len, nonce);
    e = osp_aead_open(cr, v->aead->id, v->key, nonce, osp_wr_slice(&x), sealed, to);
    plain = osp_slice(to, sealed.n - v->aead->tag_len);
    if (e == OSP_OK && v->hash.n)
        e = check_hash(v, osp_wr_slice(&a), plain);
    if (e != OSP_OK)
        return e;
    return osp_oscore_decode(plain, in, inner);
}

/* Adds the outer options that stay, and drops Request-Hash, inside and outside, since it has done its work. */
static enum osp_err
merge_outer(const struct osp_msg *in, struct osp_msg *out)
{
    enum osp_err e = osp_oscore_merge_outer(in, out);

    osp_msg_remove(out, OSP_OPT_REQUEST_HASH);
    return e;
}

static enum osp_err
find_option(const struct osp_msg *in, struct osp_group_opt *out, struct osp_slice *value)
{
    const struct osp_opt *o = osp_msg_get(in, OSP_OPT_OSCORE);

    if (!o || osp_msg_count(in, OSP_OPT_OSCORE) != 1 || in->payload.n == 0)
        return OSP_E_OSCORE_OPTION;
    *value = o->val;
    return osp_group_opt_parse(o->val, out);
}

/* ---- requests ---- */

/* Fills the layer for the response to the request of `v`. */
static void
keep_layer(const struct open *v, struct osp_group *g, enum osp_group_mode mode, size_t peer, const struct osp_msg *in,
           const struct osp_msg *out, struct osp_group_layer *l)
{
    *l = (struct osp_group_layer){ .group = g, .mode = mode, .peer = peer,
                                   .kid_len = (uint8_t)v->aad.request_kid.n, .piv_len = (uint8_t)v->aad.request_piv.n,
                                   .hash_len = (uint8_t)v->hash.n };
    (void)osp_slice_copy(v->aad.request_kid, l->kid, sizeof(l->kid));
    (void)osp_slice_copy(v->aad.request_piv, l->piv, sizeof(l->piv));
    (void)osp_slice_copy(v->hash, l->hash, sizeof(l->hash));
    l->observe = osp_msg_has(out, OSP_OPT_OBSERVE);
    l->observe_outer = l->observe && osp_msg_has(in, OSP_OPT_OBSERVE);
    osp_group_ref(g);
}

/* [cacheable#3.4.3] */
static enum osp_err
open_deterministic(struct osp_crypto *cr, struct osp_group *g, struct open *v, const struct osp_msg *in, struct osp_wr *scratch,
                   struct osp_msg *out, struct osp_group_layer *layer)
{
    const struct osp_opt *hash = osp_msg_get(in, OSP_OPT_REQUEST_HASH);
    uint8_t               key[OSP_AEAD_KEY_MAX];
    enum osp_err          e;

    if (!hash || osp_msg_count(in, OSP_OPT_REQUEST_HASH) != 1 || hash->val.n != osp_digest_len(g->det_hash))
        return OSP_E_DECRYPT;
    if (v->nonce_piv.n != 1 || v->nonce_piv.p[0] != 0)      /* the Deterministic Client uses no other Partial IV */
        return OSP_E_DECRYPT;
    v->hash = hash->val;
    e = osp_group_det_request_key(g, v->hash, key);
    v->key = key;
    if (e == OSP_OK)
        e = open_message(cr, v, in, scratch, out);
    osp_wipe(key, sizeof(key));
    if (e == OSP_OK)
        e = merge_outer(in, out);
    if (e != OSP_OK)
        return e;
    keep_layer(v, g, OSP_GROUP_DETERMINISTIC, g->member_count, in, out, layer);
    return out->code == OSP_GET || out->code == OSP_FETCH ? OSP_OK : OSP_E_FORBIDDEN;
}

static enum osp_err
open_from_member(struct osp_crypto *cr, struct osp_group *g, struct open *v, bool signing, const struct osp_msg *in,
                 struct osp_wr *scratch, struct osp_msg *out, struct osp_group_layer *layer)
{
    size_t             peer = grp_member_find(g, v->aad.request_kid);
    struct grp_member *m = &g->members[peer];
    uint64_t           piv = osp_oscore_piv_value(v->nonce_piv);
    enum osp_err       e;

    if (peer == g->member_count)        /* our own ID is refused here too [gosc#7.2] */
        return OSP_E_NO_CONTEXT;
    if (!signing && !g->has_self)       /* without a key pair we share no key with the sender */
        return OSP_E_NO_CONTEXT;
    v->key = signing ? m->recipient_key : m->from;
    v->signer = signing ? &m->key : NULL;
    v->aad.sender_cred = m->credential;
    if (!grp_window_is_fresh(g, peer, piv))
        return OSP_E_REPLAY;
    e = open_message(cr, v, in, scratch, out);
    if (e == OSP_OK)
        e = merge_outer(in, out);
    if (e == OSP_OK)
        e = grp_window_commit(g, peer, piv, out);
    if (e == OSP_OK || e == OSP_E_NOT_FRESH) {
        keep_layer(v, g, signing ? OSP_GROUP_SIGNED : OSP_GROUP_PAIRWISE, peer, in, out, layer);
        /* a request that is not fresh may have been answered before the window was lost [rfc8613#B.1.2] */
        layer->nonce_used = e == OSP_E_NOT_FRESH;
    }
    return e;
}

/* [gosc#6] [gosc#8.4] [gosc#7.2] [cacheable#3.4.3] */
enum osp_err
osp_group_unprotect_request(struct osp_crypto *cr, struct osp_group *g, const struct osp_msg *in, struct osp_wr *scratch,
                            struct osp_msg *out, struct osp_group_layer *layer)
{
    struct open          v = { .g = g, .request = true };
    struct osp_group_opt opt;
    enum osp_err         e = find_option(in, &opt, &v.aad.oscore_option);
    bool                 is_det;

    if (e != OSP_OK)
        return e;
    if (!opt.o.has_kid || !opt.o.has_kid_context || opt.o.piv.n == 0)       /* [gosc#3.2] a request has all three */
        return OSP_E_OSCORE_OPTION;
    if (!osp_slice_eq(opt.o.kid_context, osp_group_gid(g)))
        return OSP_E_NO_CONTEXT;
    v.aead = opt.group_mode ? g->signed_enc : g->pairwise;
    if (!v.aead)                        /* [gosc#6] the group does not use this mode */
        return OSP_E_OSCORE_OPTION;
    v.aad.request_kid = v.nonce_id = opt.o.kid;
    v.aad.request_piv = v.nonce_piv = opt.o.piv;
    is_det = g->has_det && osp_slice_eq(opt.o.kid, grp_id(&g->det_id));
    if (is_det && opt.group_mode)       /* the Deterministic Client has no key to sign with */
        return OSP_E_NO_CONTEXT;
    if (is_det)
        return open_deterministic(cr, g, &v, in, scratch, out, layer);
    return open_from_member(cr, g, &v, opt.group_mode, in, scratch, out, layer);
}

/* ---- responses ---- */

/* Checks what can be checked before a key is used. */
static enum osp_err
check_response(const struct osp_group_layer *l, const struct osp_group_opt *opt, const struct osp_msg *in)
{
    const struct osp_group  *g = l->group;
    const struct osp_opt    *hash = osp_msg_get(in, OSP_OPT_REQUEST_HASH);
    bool                     det = l->mode == OSP_GROUP_DETERMINISTIC;

    if (opt->o.has_kid_context && !osp_slice_eq(opt->o.kid_context, osp_group_gid(g)))
        return OSP_E_NO_CONTEXT;
    if (opt->group_mode ? !g->signed_enc : !g->pairwise || !g->has_self)
        return OSP_E_OSCORE_OPTION;
    if (l->mode == OSP_GROUP_SIGNED && !opt->o.has_kid)     /* [gosc#3.2] */
        return OSP_E_OSCORE_OPTION;
    /* [cacheable#3.4.4] step 1; [gosc#7.4] the response is not from the server that was asked */
    if (opt->o.has_kid && !osp_slice_eq(opt->o.kid, grp_id(&g->members[l->peer].id)))
        return OSP_E_DECRYPT;
    if (!det)
        return OSP_OK;
    if (!opt->group_mode || opt->o.piv.n == 0)
        return OSP_E_BAD_RESPONSE;
    /* step 2: a Request-Hash on the response has to equal the request's */
    if (hash && (osp_msg_count(in, OSP_OPT_REQUEST_HASH) != 1 || !osp_slice_eq(hash->val, osp_slice(l->hash, l->hash_len))))
        return OSP_E_DECRYPT;
    return OSP_OK;
}

/*
 * Settles the Observe option of the decrypted response.  A deterministic request may have had a protected Observe without asking
 * for an observation; then the response's Observe is ignored [cacheable#3.4.4] step 4.  Otherwise the rule of lib/oscore holds
 * [rfc8613#4.1.3.5.2].
 */
static enum osp_err
settle_observe(const struct osp_group_layer *l, const struct osp_msg *in, bool has_piv, struct osp_msg *out)
{
    if (l->mode == OSP_GROUP_DETERMINISTIC && l->observe && !l->observe_outer)
        osp_msg_remove(out, OSP_OPT_OBSERVE);
    if (!osp_msg_has(out, OSP_OPT_OBSERVE))
        return OSP_OK;
    if (!l->observe)
        return OSP_E_BAD_RESPONSE;
    osp_oscore_take_observe(in, has_piv, out);
    return OSP_OK;
}

/* [gosc#8.6] [gosc#7.4] [cacheable#3.4.4] */
enum osp_err
osp_group_unprotect_response(struct osp_crypto *cr, struct osp_group_layer *layer, const struct osp_msg *in,
                             struct osp_wr *scratch, struct osp_msg *out)
{
    struct osp_group        *g = layer->group;
    const struct grp_member *m = &g->members[layer->peer];
    struct open              v = { .g = g };
    struct osp_group_opt     opt;
    uint8_t                  class_i[OSP_DIGEST_MAX + 8];
    struct osp_wr            i = osp_wr_to(class_i, sizeof(class_i));
    bool                     has_piv;
    enum osp_err             e;

    if (!osp_msg_has(in, OSP_OPT_OSCORE))
        return OSP_E_UNPROTECTED;
    e = find_option(in, &opt, &v.aad.oscore_option);
    if (e == OSP_OK)
        e = check_response(layer, &opt, in);
    if (e == OSP_OK && layer->hash_len)
        e = osp_group_class_i(osp_slice(layer->hash, layer->hash_len), &i);
    if (e != OSP_OK)
        return e;
    has_piv = opt.o.piv.n > 0;
    v.aead = opt.group_mode ? g->signed_enc : g->pairwise;
    v.key = opt.group_mode ? m->recipient_key : m->from;
    v.signer = opt.group_mode ? &m->key : NULL;
    v.aad.request_kid = osp_slice(layer->kid, layer->kid_len);
    v.aad.request_piv = osp_slice(layer->piv, layer->piv_len);
    v.aad.options = osp_wr_slice(&i);
    v.aad.sender_cred = m->credential;
    v.nonce_id = has_piv ? grp_id(&m->id) : v.aad.request_kid;
    v.nonce_piv = has_piv ? opt.o.piv : v.aad.request_piv;
    e = open_message(cr, &v, in, scratch, out);
    if (e == OSP_OK)
        e = settle_observe(layer, in, has_piv, out);
    if (e == OSP_OK)
        e = merge_outer(in, out);
    if (e != OSP_OK)
        return e;
    return osp_oscore_check_order(&layer->nonce_used, &layer->last_piv, osp_msg_has(out, OSP_OPT_OBSERVE), has_piv,
                                  osp_oscore_piv_value(opt.o.piv));
}
