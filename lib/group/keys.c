/* SPDX-License-Identifier: BSD-2-Clause */
/* The key schedule of a group: Sender and Recipient Keys, pairwise keys, keys of deterministic requests. */
#include "cbor/enc.h"
#include "group/impl.h"

/* One output of the group's key derivation [gosc#2.3] [rfc8613#3.2.1]. */
static enum osp_err
derive(const struct osp_group *g, struct osp_slice secret, struct osp_slice salt, struct osp_slice id, const char *type,
       uint8_t *out, size_t n)
{
    int              alg = g->group_enc ? g->group_enc : g->aead;
    struct osp_slice gid = osp_group_gid(g);
    uint8_t          info[GRP_INFO_MAX];
    struct osp_wr    w = osp_wr_to(info, sizeof(info));
    enum osp_err     e = osp_oscore_info(id, &gid, alg, type, (unsigned)n, &w);

    return e == OSP_OK ? osp_hkdf_derive(g->hkdf, secret, salt, osp_wr_slice(&w), out, n) : e;
}

/* ---- pairwise keys ---- */

enum osp_err
osp_group_shared_secret(int curve, const uint8_t priv[32], struct osp_slice peer, uint8_t out[32])
{
    uint8_t      x_priv[32], x_pub[32];
    enum osp_err e;

    if (curve != OSP_ED25519)
        return osp_pk_shared((enum osp_curve)curve, priv, peer, out);
    if (peer.n != 32)
        return OSP_E_INVALID;
    /* [gosc#2.5.2] y = 1 has no image, y = -1 gives a secret of zeroes: both are refused */
    e = osp_pk_ed_to_x_public(peer.p, x_pub);
    if (e == OSP_OK)
        e = osp_pk_ed_to_x_private(priv, x_priv);
    if (e == OSP_OK)
        e = osp_pk_shared(OSP_X25519, x_priv, osp_slice(x_pub, sizeof(x_pub)), out);
    osp_wipe(x_priv, sizeof(x_priv));
    return e;
}

/* HKDF(salt, ikm, [ id, gid, alg_aead, "Key", L ], L), for the AEAD of the pairwise mode */
static enum osp_err
pairwise_key(const struct osp_group *g, struct osp_slice salt, struct osp_slice ikm, struct osp_slice id, uint8_t *out)
{
    struct osp_slice gid = osp_group_gid(g);
    uint8_t          info[GRP_INFO_MAX];
    struct osp_wr    w = osp_wr_to(info, sizeof(info));
    enum osp_err     e = osp_oscore_info(id, &gid, g->aead, "Key", g->pairwise->key_len, &w);

    return e == OSP_OK ? osp_hkdf_derive(g->hkdf, ikm, salt, osp_wr_slice(&w), out, g->pairwise->key_len) : e;
}

/* The key for messages in one direction between two members; it covers both credentials, the sender's first [gosc#2.5.1]. */
static enum osp_err
directed_key(const struct osp_group *g, struct osp_slice sender_key, struct osp_slice sender_id, struct osp_slice from,
             struct osp_slice to, struct osp_slice shared, uint8_t *out)
{
    uint8_t       ikm[2 * OSP_CREDENTIAL_MAX + 32];
    struct osp_wr w = osp_wr_to(ikm, sizeof(ikm));
    enum osp_err  e;

    osp_wr_put(&w, from);
    osp_wr_put(&w, to);
    osp_wr_put(&w, shared);
    e = osp_wr_bad(&w) ? OSP_E_NOSPACE : pairwise_key(g, sender_key, osp_wr_slice(&w), sender_id, out);
    osp_wipe(ikm, sizeof(ikm));
    return e;
}

static enum osp_err
derive_pairwise(struct osp_group *g, struct grp_member *m)
{
    struct osp_slice pub = osp_slice(m->key.bytes, m->key.len);
    uint8_t          secret[32];
    struct osp_slice shared = osp_slice(secret, sizeof(secret));
    enum osp_err     e = osp_group_shared_secret(m->key.curve, g->private_key, pub, secret);

    if (e == OSP_OK)
        e = directed_key(g, osp_slice(g->sender_key, g->key_len), grp_id(&g->self_id), g->self_credential, m->credential, shared,
                         m->to);
    if (e == OSP_OK)
        e = directed_key(g, osp_slice(m->recipient_key, g->key_len), grp_id(&m->id), m->credential, g->self_credential, shared,
                         m->from);
    osp_wipe(secret, sizeof(secret));
    return e;
}

/* ---- all keys of the group ---- */

enum osp_err
grp_derive(struct osp_group *g, struct osp_slice secret, struct osp_slice salt, size_t *bad)
{
    enum osp_err e = derive(g, secret, salt, OSP_EMPTY, "IV", g->common_iv, g->iv_len);

    if (e == OSP_OK && g->signed_enc)       /* [gosc#2.1.8] */
        e = derive(g, secret, salt, OSP_EMPTY, "SEKey", g->signature_key, g->key_len);
    if (e == OSP_OK && g->has_self)
        e = derive(g, secret, salt, grp_id(&g->self_id), "Key", g->sender_key, g->key_len);
    if (e == OSP_OK && g->has_det)
        e = derive(g, secret, salt, grp_id(&g->det_id), "Key", g->det_key, g->key_len);
    for (size_t i = 0; i < g->member_count && e == OSP_OK; i++) {
        struct grp_member *m = &g->members[i];

        *bad = i;
        e = derive(g, secret, salt, grp_id(&m->id), "Key", m->recipient_key, g->key_len);
        if (e == OSP_OK && g->has_self && g->pairwise)
            e = derive_pairwise(g, m);
    }
    return e;
}

/* ---- deterministic requests ---- */

/* [cacheable#3.4.2] step 2 */
enum osp_err
osp_group_request_hash(const struct osp_group *g, struct osp_slice aad_array, struct osp_slice plain, uint8_t out[64])
{
    const struct osp_slice in[] = { osp_slice(g->det_key, g->key_len), aad_array, plain };

    return osp_digest(g->det_hash, in, 3, out);
}

/* [cacheable#3.4.2] step 3 */
enum osp_err
osp_group_det_request_key(const struct osp_group *g, struct osp_slice hash, uint8_t *out)
{
    return pairwise_key(g, osp_slice(g->det_key, g->key_len), hash, grp_id(&g->det_id), out);
}

/* ---- signatures ---- */

/* [gosc#4.2] info = [ id, id_context, type, L ] */
enum osp_err
osp_group_keystream(const struct osp_group *g, struct osp_slice id, struct osp_slice piv, bool request, uint8_t *out, size_t n)
{
    uint8_t       info[GRP_INFO_MAX];
    struct osp_wr w = osp_wr_to(info, sizeof(info));

    osp_cbor_put_array(&w, 4);
    osp_cbor_put_bstr(&w, id);
    osp_cbor_put_bstr(&w, osp_group_gid(g));
    osp_cbor_put_bool(&w, request);
    osp_cbor_put_int(&w, (int64_t)n);
    if (osp_wr_bad(&w))
        return OSP_E_NOSPACE;
    return osp_hkdf_derive(g->hkdf, osp_slice(g->signature_key, g->key_len), piv, osp_wr_slice(&w), out, n);
}

/* ---- for the vectors ---- */

struct osp_group_keys
osp_group_keys(const struct osp_group *g)
{
    struct osp_group_keys k = { osp_slice(g->common_iv, g->iv_len), osp_slice(g->signature_key, g->signed_enc ? g->key_len : 0),
                                osp_slice(g->sender_key, g->has_self ? g->key_len : 0),
                                osp_slice(g->det_key, g->has_det ? g->key_len : 0) };
    return k;
}

struct osp_group_member_keys
osp_group_member_keys(const struct osp_group *g, size_t i)
{
    const struct grp_member     *m = &g->members[i];
    size_t                       n = g->pairwise && g->has_self ? g->pairwise->key_len : 0;
    struct osp_group_member_keys k = { osp_slice(m->recipient_key, g->key_len), osp_slice(m->to, n), osp_slice(m->from, n) };

    return k;
}
