/* SPDX-License-Identifier: BSD-2-Clause */
/* Signature_or_MAC_2 and Signature_or_MAC_3: both sides authenticate alike [rfc9528#5.3.2] [rfc9528#5.4.2]. */
#include "crypto/pk.h"
#include "edhoc/impl.h"

#define STRUCTURE_MAX (OSP_EDHOC_ID_CRED_MAX + OSP_EDHOC_CRED_MAX + OSP_EDHOC_EAD_MAX + 256)

enum osp_err
edh_next_prk(const struct osp_edhoc *s, enum osp_edhoc_role by, const uint8_t priv[32], struct osp_slice pub,
             uint8_t prk[OSP_DIGEST_MAX])
{
    int          digest = s->suite->digest;
    size_t       n = osp_digest_len(digest);
    uint8_t      salt[OSP_DIGEST_MAX], shared[32];
    enum osp_err e;

    if (!edh_by_dh(s->method, by)) {
        memcpy(prk, s->prk, n);
        return OSP_OK;
    }
    e = osp_edhoc_kdf(digest, edh_prk(s), by == OSP_EDHOC_RESPONDER ? OSP_EDHOC_SALT_3E2M : OSP_EDHOC_SALT_4E3M, edh_th(s), salt,
                      n);
    if (e == OSP_OK)
        e = osp_pk_shared((enum osp_curve)s->suite->curve, priv, pub, shared);
    if (e == OSP_OK)
        e = osp_hkdf_extract(digest, osp_slice(salt, n), osp_slice(shared, sizeof(shared)), prk);
    else if (e == OSP_E_INVALID)
        e = OSP_E_EDHOC_KEY;
    osp_wipe(salt, sizeof(salt));
    osp_wipe(shared, sizeof(shared));
    return e;
}

/* Makes MAC_2 or MAC_3 in the length that the method asks for. */
static enum osp_err
mac_of(const struct osp_edhoc *s, const struct edh_auth *a, const uint8_t *prk, uint8_t mac[OSP_DIGEST_MAX], size_t *len)
{
    size_t        n = osp_digest_len(s->suite->digest);
    uint8_t       context[STRUCTURE_MAX];
    struct osp_wr w = osp_wr_to(context, sizeof(context));

    osp_edhoc_context_put(&w, &a->covered);
    if (osp_wr_bad(&w))
        return OSP_E_NOSPACE;
    *len = edh_by_dh(s->method, a->by) ? s->suite->mac_len : n;
    return osp_edhoc_kdf(s->suite->digest, osp_slice(prk, n), a->by == OSP_EDHOC_RESPONDER ? OSP_EDHOC_MAC_2 : OSP_EDHOC_MAC_3,
                         osp_wr_slice(&w), mac, *len);
}

enum osp_err
edh_prove(const struct osp_edhoc *s, const struct edh_auth *a, const uint8_t *prk, uint8_t proof[EDH_PROOF_MAX], size_t *len)
{
    uint8_t       mac[OSP_DIGEST_MAX], m[STRUCTURE_MAX];
    struct osp_wr w = osp_wr_to(m, sizeof(m));
    size_t        n = 0;
    enum osp_err  e = mac_of(s, a, prk, mac, &n);

    if (e != OSP_OK)
        return e;
    if (edh_by_dh(s->method, a->by)) {
        memcpy(proof, mac, n);
        *len = n;
        return OSP_OK;
    }
    osp_edhoc_sign_structure_put(&w, &a->covered, osp_slice(mac, n));
    if (osp_wr_bad(&w))
        return OSP_E_NOSPACE;
    *len = OSP_SIGNATURE_LEN;
    return osp_pk_sign((enum osp_sign)s->suite->sign, s->own->priv, osp_wr_slice(&w), proof);
}

/* ---- the other side ---- */

static enum osp_err
check_proof(const struct osp_edhoc *s, const struct edh_auth *a, const uint8_t *prk, const struct osp_cose_key *key,
            struct osp_slice proof)
{
    uint8_t       mac[OSP_DIGEST_MAX], m[STRUCTURE_MAX];
    struct osp_wr w = osp_wr_to(m, sizeof(m));
    size_t        n = 0;
    enum osp_err  e = mac_of(s, a, prk, mac, &n);

    if (e != OSP_OK)
        return e;
    if (edh_by_dh(s->method, a->by))
        return osp_equal_ct(osp_slice(mac, n), proof) ? OSP_OK : OSP_E_EDHOC_AUTH;
    osp_edhoc_sign_structure_put(&w, &a->covered, osp_slice(mac, n));
    if (osp_wr_bad(&w))
        return OSP_E_NOSPACE;
    e = osp_pk_verify((enum osp_sign)s->suite->sign, osp_slice(key->bytes, key->len), osp_wr_slice(&w), proof);
    return e == OSP_OK ? OSP_OK : OSP_E_EDHOC_AUTH;
}

/* [rfc9528#9.2] True if the peer's credential is ours: we talk to ourselves, or an attacker reflects our messages. */
static bool
is_our_own(const struct osp_edhoc *s, const struct osp_edhoc_cred *c)
{
    for (size_t i = 0; i < s->profile->own_count; i++)
        if (osp_slice_eq(s->profile->own[i].cred.cred, c->cred))
            return true;
    return false;
}

/* Verifies `proof` with one candidate credential of the other side, and fills in the results if it verifies. */
static enum osp_err
try_peer(const struct osp_edhoc *s, struct edh_auth *a, const struct osp_edhoc_cred *c, struct osp_slice proof,
         uint8_t prk[OSP_DIGEST_MAX])
{
    bool         dh = edh_by_dh(s->method, a->by);
    int          curve = dh ? s->suite->curve : osp_edhoc_sign_curve(s->suite);
    enum osp_err e;

    if (is_our_own(s, c))
        return OSP_E_EDHOC_REFLECTED;
    if (c->key.curve != curve)          /* [rfc9528#3.5.1] */
        return OSP_E_EDHOC_AUTH;
    a->covered.cred = c->cred;
    e = edh_next_prk(s, a->by, s->ephemeral, osp_slice(c->key.bytes, c->key.len), prk);
    return e == OSP_OK ? check_proof(s, a, prk, &c->key, proof) : e;
}

/* Makes a candidate credential from a chain, if the chain leads to a trust anchor. */
static enum osp_err
from_chain(const struct osp_edhoc *s, bool dh, struct osp_slice item, struct edh_scratch *scratch, struct osp_edhoc_cred *c,
           char name[OSP_X509_NAME_MAX])
{
    struct osp_wr    w = osp_wr_to(scratch->cert, sizeof(scratch->cert));
    struct osp_slice chain[OSP_X509_CHAIN_MAX];
    struct osp_x509  x;
    size_t           n = 0;
    enum osp_err     e = osp_edhoc_x5chain_read(item, chain, &n);

    if (e == OSP_OK)
        e = osp_x509_verify(s->profile->anchors, chain, n, s->now_s, &x);
    if (e != OSP_OK)
        return e == OSP_E_ALGORITHM ? OSP_E_EDHOC_AUTH : e;
    if (dh ? !x.may_agree : !x.may_sign)        /* [rfc9528#D.1] */
        return OSP_E_CERTIFICATE;
    if (s->profile->subject && !osp_x509_names(chain[0], s->profile->subject))         /* [rfc9528#D.2] */
        return OSP_E_EDHOC_NAME;
    osp_edhoc_cert_put(&w, chain[0]);
    if (osp_wr_bad(&w))
        return OSP_E_TOO_LARGE;
    *c = (struct osp_edhoc_cred){ .cred = osp_wr_slice(&w), .key = { .curve = x.curve, .len = x.key_len } };
    memcpy(c->key.bytes, x.key, sizeof(c->key.bytes));
    memcpy(name, x.name, OSP_X509_NAME_MAX);
    return OSP_OK;
}

/* Handles an ID_CRED_x that `find` does not know: a chain is verified up to the anchors, other kinds give an error each. */
static enum osp_err
verify_unknown(struct osp_edhoc *s, struct edh_auth *a, struct osp_slice proof, struct edh_scratch *scratch, uint8_t *prk)
{
    struct osp_edhoc_who   who = { .label = s->profile->chain_label, .by_chain = true };
    struct osp_edhoc_cred  c;
    enum osp_edhoc_id_kind kind;
    struct osp_slice       value;
    enum osp_err           e = osp_edhoc_id_kind(a->covered.id_cred, &kind, &value);

    if (e != OSP_OK)
        return e;
    if (kind == OSP_EDHOC_X5U)
        return OSP_E_EDHOC_X5U;
    if (kind == OSP_EDHOC_KCCS)         /* the credential was sent, but nobody vouches for it */
        return OSP_E_EDHOC_AUTH;
    if (kind != OSP_EDHOC_X5CHAIN)
        return OSP_E_EDHOC_NO_CRED;     /* [rfc9528#6.4] */
    if (!s->profile->anchors)
        return OSP_E_EDHOC_CRED_TYPE;
    e = from_chain(s, edh_by_dh(s->method, a->by), value, scratch, &c, who.name);
    if (e == OSP_OK)
        e = try_peer(s, a, &c, proof, prk);
    if (e == OSP_OK)
        s->who = who;
    return e;
}

enum osp_err
edh_verify(struct osp_edhoc *s, struct edh_auth *a, struct osp_slice proof, struct edh_scratch *scratch,
           uint8_t prk[OSP_DIGEST_MAX])
{
    const struct osp_edhoc_profile *p = s->profile;
    const struct osp_edhoc_peer    *peer = NULL;
    enum osp_err                    e = OSP_E_EDHOC_NO_CRED;
    unsigned                        nth = 0;

    /* [rfc9528#5.3.3] [rfc9528#5.4.3] a field of the wrong length is refused, whoever sent it */
    if (proof.n != (edh_by_dh(s->method, a->by) ? s->suite->mac_len : OSP_SIGNATURE_LEN))
        return OSP_E_FORMAT;
    /* [rfc9528#3.5.3] several credentials may have one kid */
    for (; nth < EDH_CANDIDATES_MAX && p->find && p->find(p->find_ctx, a->covered.id_cred, nth, &peer) == OSP_OK; nth++) {
        e = try_peer(s, a, &peer->cred, proof, prk);
        if (e == OSP_OK) {
            s->who = (struct osp_edhoc_who){ .label = peer->label };
            return OSP_OK;
        }
        if (e != OSP_E_EDHOC_AUTH && e != OSP_E_EDHOC_KEY)
            return e;
    }
    return nth > 0 ? e : verify_unknown(s, a, proof, scratch, prk);
}
