/* SPDX-License-Identifier: BSD-2-Clause */
/* message_2 = ( G_Y_CIPHERTEXT_2 )  [rfc9528#5.3] */
#include "cbor/enc.h"
#include "crypto/pk.h"
#include "edhoc/impl.h"

/* Derives TH_2 and PRK_2e from the ephemeral keys of both sides. */
static enum osp_err
begin_keys(struct osp_edhoc *s, struct osp_slice g_y)
{
    int          digest = s->suite->digest;
    uint8_t      shared[32];
    enum osp_err e = osp_edhoc_th_2(digest, g_y, edh_th(s), s->th);

    if (e == OSP_OK) {
        e = osp_pk_shared((enum osp_curve)s->suite->curve, s->ephemeral, osp_slice(s->g_peer, OSP_EDHOC_G_LEN), shared);
        if (e == OSP_E_INVALID)         /* [rfc9528#9.8] not a point, or the shared secret is zero */
            e = OSP_E_EDHOC_KEY;
    }
    if (e == OSP_OK)
        e = osp_hkdf_extract(digest, edh_th(s), osp_slice(shared, sizeof(shared)), s->prk);
    osp_wipe(shared, sizeof(shared));
    return e;
}

/* Encrypts or decrypts by XOR with KEYSTREAM_2.  `out` may be `in.p`. */
static enum osp_err
stream(const struct osp_edhoc *s, struct osp_slice in, uint8_t *out)
{
    uint8_t      key[OSP_EDHOC_MESSAGE_MAX];
    enum osp_err e = in.n <= sizeof(key) ? OSP_OK : OSP_E_TOO_LARGE;

    if (e == OSP_OK)
        e = osp_edhoc_kdf(s->suite->digest, edh_prk(s), OSP_EDHOC_KEYSTREAM_2, edh_th(s), key, in.n);
    for (size_t i = 0; e == OSP_OK && i < in.n; i++)
        out[i] = in.p[i] ^ key[i];
    osp_wipe(key, in.n <= sizeof(key) ? in.n : 0);
    return e;
}

/* Derives TH_3, and stores PRK_3e2m as the PRK of the session. */
static enum osp_err
advance(struct osp_edhoc *s, struct osp_slice plaintext, struct osp_slice cred_r, const uint8_t *prk_3e2m)
{
    memcpy(s->prk, prk_3e2m, osp_digest_len(s->suite->digest));
    return osp_edhoc_th_next(s->suite->digest, edh_th(s), plaintext, cred_r, s->th);
}

/* PLAINTEXT_2 = ( C_R, ID_CRED_R / bstr / -24..23, Signature_or_MAC_2, ? EAD_2 ) */
static enum osp_err
plaintext_2(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *w, uint8_t prk[OSP_DIGEST_MAX])
{
    uint8_t                      c_r[OSP_EDHOC_CID_MAX + 1], proof[EDH_PROOF_MAX];
    const struct osp_edhoc_cred *own = &s->own->cred;
    struct osp_wr                wc = osp_wr_to(c_r, sizeof(c_r));
    size_t                       n = 0;
    enum osp_err                 e;

    osp_edhoc_bstr_put(&wc, edh_cid(&s->c_r));
    struct edh_auth auth = { OSP_EDHOC_RESPONDER, { osp_wr_slice(&wc), own->id_cred, own->cred, ead, edh_th(s) } };
    e = edh_next_prk(s, OSP_EDHOC_RESPONDER, s->own->priv, osp_slice(s->g_peer, OSP_EDHOC_G_LEN), prk);
    if (e == OSP_OK)
        e = edh_prove(s, &auth, prk, proof, &n);
    if (e != OSP_OK)
        return e;
    osp_wr_put(w, auth.covered.c_r);
    osp_edhoc_id_put(w, own->id_cred);
    osp_cbor_put_bstr(w, osp_slice(proof, n));
    osp_wr_put(w, ead);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

enum osp_err
edh_make_2(struct osp_edhoc *s, const struct edh_args *a)
{
    uint8_t          g_y[64], plain[OSP_EDHOC_MESSAGE_MAX], prk[OSP_DIGEST_MAX];
    struct osp_wr    w = osp_wr_to(plain, sizeof(plain));
    enum osp_err     e = edh_check_ead(a->ead);
    uint8_t         *at;

    /* [rfc9668#4.1.2] */
    if (e == OSP_OK && osp_slice_eq(a->cid, edh_cid(&s->c_i)))
        e = OSP_E_EDHOC_CID;
    if (e == OSP_OK)
        e = edh_keep_cid(s, a->cid, &s->c_r);
    if (e == OSP_OK)
        e = osp_pk_pair((enum osp_curve)s->suite->curve, a->seed, s->ephemeral, g_y);
    if (e == OSP_OK)
        e = begin_keys(s, osp_slice(g_y, OSP_EDHOC_G_LEN));
    if (e == OSP_OK)
        e = plaintext_2(s, a->ead, &w, prk);
    if (e == OSP_OK) {
        osp_cbor_put_bstr_head(a->out, OSP_EDHOC_G_LEN + w.n);
        osp_wr_put(a->out, osp_slice(g_y, OSP_EDHOC_G_LEN));
        at = osp_wr_reserve(a->out, w.n);
        e = at ? stream(s, osp_wr_slice(&w), at) : OSP_E_NOSPACE;
    }
    if (e == OSP_OK)
        e = advance(s, osp_wr_slice(&w), s->own->cred.cred, prk);
    osp_wipe(prk, sizeof(prk));
    return e;
}

enum osp_err
edh_one_bstr(struct osp_slice message, struct osp_slice *out)
{
    struct osp_cbor  c = osp_cbor_from(message);
    struct osp_slice b = osp_cbor_bstr(&c);

    if (message.n > OSP_EDHOC_MESSAGE_MAX)
        return OSP_E_TOO_LARGE;
    if (!osp_cbor_done(&c))
        return OSP_E_FORMAT;
    *out = b;
    return OSP_OK;
}

/* Reads and checks PLAINTEXT_2 [rfc9528#5.3.3]. */
static enum osp_err
judge_2(struct osp_edhoc *s, struct osp_slice plain, struct osp_edhoc_eads *eads)
{
    const struct osp_edhoc_profile *p = s->profile;
    uint8_t                         kid[OSP_EDHOC_KID_MAX + 4], prk[OSP_DIGEST_MAX];
    struct edh_scratch              scratch;
    struct osp_cbor                 c = osp_cbor_from(plain);
    struct edh_auth                 auth = { .by = OSP_EDHOC_RESPONDER, .covered.th = edh_th(s) };
    struct osp_slice                c_r = osp_edhoc_bstr(&c), proof;
    enum osp_err                    e;

    auth.covered.c_r = osp_slice_head(plain, plain.n - osp_rd_left(&c.r));
    auth.covered.id_cred = osp_edhoc_id(&c, kid);
    proof = osp_cbor_bstr(&c);
    if (osp_cbor_bad(&c))
        return OSP_E_FORMAT;
    auth.covered.ead = osp_rd_rest(&c.r);
    if (osp_slice_eq(c_r, edh_cid(&s->c_i)))    /* [rfc9668#4.1.3] */
        return OSP_E_EDHOC_CID;
    e = edh_keep_cid(s, c_r, &s->c_r);
    if (e == OSP_OK)
        e = osp_edhoc_ead_read(auth.covered.ead, p->ead_labels, p->ead_label_count, eads);
    if (e == OSP_OK)
        e = edh_verify(s, &auth, proof, &scratch, prk);
    if (e == OSP_OK)
        e = advance(s, plain, auth.covered.cred, prk);
    osp_wipe(prk, sizeof(prk));
    return e;
}

enum osp_err
edh_take_2(struct osp_edhoc *s, const struct edh_args *a)
{
    uint8_t          plain[OSP_EDHOC_MESSAGE_MAX];
    struct osp_slice both, ciphertext;
    enum osp_err     e = edh_one_bstr(a->in, &both);

    if (e != OSP_OK)
        return e;
    ciphertext = osp_slice_tail(both, OSP_EDHOC_G_LEN);
    if (ciphertext.n == 0)
        return OSP_E_FORMAT;
    (void)osp_slice_copy(osp_slice_head(both, OSP_EDHOC_G_LEN), s->g_peer, sizeof(s->g_peer));
    e = begin_keys(s, osp_slice(s->g_peer, OSP_EDHOC_G_LEN));
    if (e == OSP_OK)
        e = stream(s, ciphertext, plain);
    if (e == OSP_OK)
        e = judge_2(s, osp_slice(plain, ciphertext.n), a->eads);
    return e;
}
