/* SPDX-License-Identifier: BSD-2-Clause */
/* message_3 = ( CIPHERTEXT_3 )  [rfc9528#5.4], and the AEAD that it shares with message_4 */
#include "cbor/enc.h"
#include "edhoc/impl.h"

/* ---- AEAD ---- */

struct sealing { uint8_t key[OSP_AEAD_KEY_MAX], nonce[OSP_AEAD_NONCE_MAX], aad[OSP_DIGEST_MAX + 32]; size_t aad_len; };

/* Makes K_3, IV_3 and A_3, or K_4, IV_4 and A_4; the label of the nonce is the key's label + 1. */
static enum osp_err
sealing_of(const struct osp_edhoc *s, int k_label, struct sealing *out)
{
    const struct osp_aead_info *info = osp_aead_info(s->suite->aead);
    struct osp_wr               w = osp_wr_to(out->aad, sizeof(out->aad));
    enum osp_err                e = osp_edhoc_kdf(s->suite->digest, edh_prk(s), k_label, edh_th(s), out->key, info->key_len);

    if (e == OSP_OK)
        e = osp_edhoc_kdf(s->suite->digest, edh_prk(s), k_label + 1, edh_th(s), out->nonce, info->nonce_len);
    osp_edhoc_enc_structure_put(&w, edh_th(s));
    out->aad_len = w.n;
    return e;
}

enum osp_err
edh_seal(const struct osp_edhoc *s, int k_label, struct osp_slice plain, struct osp_wr *out)
{
    size_t         n = plain.n + osp_aead_info(s->suite->aead)->tag_len;
    struct sealing k;
    enum osp_err   e = sealing_of(s, k_label, &k);
    uint8_t       *at;

    osp_cbor_put_bstr_head(out, n);
    at = osp_wr_reserve(out, n);
    if (e == OSP_OK)
        e = at ? osp_aead_seal(s->crypto, s->suite->aead, k.key, k.nonce, osp_slice(k.aad, k.aad_len), plain, at) : OSP_E_NOSPACE;
    osp_wipe(&k, sizeof(k));
    return e;
}

enum osp_err
edh_open(const struct osp_edhoc *s, int k_label, struct osp_slice message, uint8_t plain[OSP_EDHOC_MESSAGE_MAX],
         struct osp_slice *out)
{
    size_t           tag = osp_aead_info(s->suite->aead)->tag_len;
    struct sealing   k;
    struct osp_slice sealed;
    enum osp_err     e = edh_one_bstr(message, &sealed);

    if (e == OSP_OK && sealed.n < tag)
        e = OSP_E_FORMAT;
    if (e != OSP_OK)
        return e;
    e = sealing_of(s, k_label, &k);
    if (e == OSP_OK)
        e = osp_aead_open(s->crypto, s->suite->aead, k.key, k.nonce, osp_slice(k.aad, k.aad_len), sealed, plain);
    osp_wipe(&k, sizeof(k));
    *out = osp_slice(plain, sealed.n - tag);
    return e;
}

/* ---- message_3 ---- */

/* Derives TH_4 and PRK_exporter, and stores PRK_4e3m as the PRK of the session [rfc9528#4.1.3]. */
static enum osp_err
finish_keys(struct osp_edhoc *s, struct osp_slice plaintext, struct osp_slice cred_i, const uint8_t *prk_4e3m)
{
    int          digest = s->suite->digest;
    size_t       n = osp_digest_len(digest);
    uint8_t      out[OSP_DIGEST_MAX];
    enum osp_err e = osp_edhoc_th_next(digest, edh_th(s), plaintext, cred_i, s->th);

    memcpy(s->prk, prk_4e3m, n);
    if (e == OSP_OK)
        e = osp_edhoc_kdf(digest, edh_prk(s), OSP_EDHOC_PRK_OUT, edh_th(s), out, n);
    if (e == OSP_OK)
        e = osp_edhoc_kdf(digest, osp_slice(out, n), OSP_EDHOC_PRK_EXPORTER, OSP_EMPTY, s->prk_exporter, n);
    osp_wipe(out, sizeof(out));
    osp_wipe(s->ephemeral, sizeof(s->ephemeral));
    s->has_keys = e == OSP_OK;
    return e;
}

/* PLAINTEXT_3 = ( ID_CRED_I / bstr / -24..23, Signature_or_MAC_3, ? EAD_3 ) */
static enum osp_err
plaintext_3(const struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *w, uint8_t prk[OSP_DIGEST_MAX])
{
    const struct osp_edhoc_cred *own = &s->own->cred;
    struct edh_auth              auth = { OSP_EDHOC_INITIATOR, { OSP_EMPTY, own->id_cred, own->cred, ead, edh_th(s) } };
    uint8_t                      proof[EDH_PROOF_MAX];
    size_t                       n = 0;
    enum osp_err                 e;

    e = edh_next_prk(s, OSP_EDHOC_INITIATOR, s->own->priv, osp_slice(s->g_peer, OSP_EDHOC_G_LEN), prk);
    if (e == OSP_OK)
        e = edh_prove(s, &auth, prk, proof, &n);
    if (e != OSP_OK)
        return e;
    osp_edhoc_id_put(w, own->id_cred);
    osp_cbor_put_bstr(w, osp_slice(proof, n));
    osp_wr_put(w, ead);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

enum osp_err
edh_make_3(struct osp_edhoc *s, const struct edh_args *a)
{
    uint8_t       plain[OSP_EDHOC_MESSAGE_MAX], prk[OSP_DIGEST_MAX];
    struct osp_wr w = osp_wr_to(plain, sizeof(plain));
    enum osp_err  e = edh_check_ead(a->ead);

    if (e == OSP_OK)
        e = plaintext_3(s, a->ead, &w, prk);
    if (e != OSP_OK)
        return e;
    e = edh_seal(s, OSP_EDHOC_K_3, osp_wr_slice(&w), a->out);
    if (e == OSP_OK)
        e = finish_keys(s, osp_wr_slice(&w), s->own->cred.cred, prk);
    osp_wipe(prk, sizeof(prk));
    return e;
}

/* Reads and checks PLAINTEXT_3 [rfc9528#5.4.3]. */
static enum osp_err
judge_3(struct osp_edhoc *s, struct osp_slice plain, struct osp_edhoc_eads *eads)
{
    const struct osp_edhoc_profile *p = s->profile;
    uint8_t                         kid[OSP_EDHOC_KID_MAX + 4], prk[OSP_DIGEST_MAX];
    struct edh_scratch              scratch;
    struct osp_cbor                 c = osp_cbor_from(plain);
    struct edh_auth                 auth = { .by = OSP_EDHOC_INITIATOR, .covered.th = edh_th(s) };
    struct osp_slice                proof;
    enum osp_err                    e;

    auth.covered.id_cred = osp_edhoc_id(&c, kid);
    proof = osp_cbor_bstr(&c);
    if (osp_cbor_bad(&c))
        return OSP_E_FORMAT;
    auth.covered.ead = osp_rd_rest(&c.r);
    e = osp_edhoc_ead_read(auth.covered.ead, p->ead_labels, p->ead_label_count, eads);
    if (e == OSP_OK)
        e = edh_verify(s, &auth, proof, &scratch, prk);
    if (e == OSP_OK)
        e = finish_keys(s, plain, auth.covered.cred, prk);
    osp_wipe(prk, sizeof(prk));
    return e;
}

enum osp_err
edh_take_3(struct osp_edhoc *s, const struct edh_args *a)
{
    uint8_t          bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_slice plain;
    enum osp_err     e = edh_open(s, OSP_EDHOC_K_3, a->in, bytes, &plain);

    return e == OSP_OK ? judge_3(s, plain, a->eads) : e;
}
