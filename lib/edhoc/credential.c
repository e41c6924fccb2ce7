/* SPDX-License-Identifier: BSD-2-Clause */
#include "edhoc/credential.h"

#include "cbor/enc.h"
#include "crypto/digest.h"
#include "crypto/pk.h"
#include "edhoc/item.h"

#define PARAMETERS_MAX 8
#define DEPTH_MAX 6
#define KTY_OKP 1
#define KTY_EC2 2

/* ---- making them ---- */

static void
cose_key_put(struct osp_wr *w, struct osp_slice kid, const struct osp_cose_key *key)
{
    bool             ec2 = key->curve == OSP_P256;
    struct osp_slice bytes = osp_slice(key->bytes, key->len);
    bool             compressed = ec2 && key->len == 33;

    osp_cbor_put_map(w, (ec2 ? 4u : 3u) + (kid.n ? 1u : 0u));
    osp_cbor_put_int(w, 1);
    osp_cbor_put_int(w, ec2 ? KTY_EC2 : KTY_OKP);
    if (kid.n) {
        osp_cbor_put_int(w, 2);
        osp_cbor_put_bstr(w, kid);
    }
    osp_cbor_put_int(w, -1);
    osp_cbor_put_int(w, key->curve);
    osp_cbor_put_int(w, -2);
    osp_cbor_put_bstr(w, osp_slice_head(compressed ? osp_slice_tail(bytes, 1) : bytes, 32));
    if (!ec2)
        return;
    osp_cbor_put_int(w, -3);
    if (compressed)
        osp_cbor_put_bool(w, (key->bytes[0] & 1) != 0);
    else
        osp_cbor_put_bstr(w, osp_slice_tail(bytes, 32));
}

void
osp_edhoc_ccs_put(struct osp_wr *w, const char *sub, struct osp_slice kid, const struct osp_cose_key *key)
{
    osp_cbor_put_map(w, sub ? 2 : 1);
    if (sub) {
        osp_cbor_put_int(w, 2);
        osp_cbor_put_tstr(w, sub);
    }
    osp_cbor_put_int(w, 8);
    osp_cbor_put_map(w, 1);
    osp_cbor_put_int(w, 1);
    cose_key_put(w, kid, key);
}

void
osp_edhoc_id_kid_put(struct osp_wr *w, struct osp_slice kid)
{
    osp_cbor_put_map(w, 1);
    osp_cbor_put_int(w, OSP_EDHOC_KID);
    osp_cbor_put_bstr(w, kid);
}

void
osp_edhoc_id_kccs_put(struct osp_wr *w, struct osp_slice ccs)
{
    osp_cbor_put_map(w, 1);
    osp_cbor_put_int(w, OSP_EDHOC_KCCS);
    osp_wr_put(w, ccs);
}

void
osp_edhoc_id_x5t_put(struct osp_wr *w, struct osp_slice der, bool truncated)
{
    uint8_t hash[OSP_DIGEST_MAX];

    if (osp_digest(OSP_SHA256, &der, 1, hash) != OSP_OK)
        w->bad = true;
    osp_cbor_put_map(w, 1);
    osp_cbor_put_int(w, OSP_EDHOC_X5T);
    osp_cbor_put_array(w, 2);
    osp_cbor_put_int(w, truncated ? OSP_SHA256_64 : OSP_SHA256);
    osp_cbor_put_bstr(w, osp_slice(hash, truncated ? 8 : 32));
}

void
osp_edhoc_id_x5chain_put(struct osp_wr *w, const struct osp_slice *ders, size_t count)
{
    osp_cbor_put_map(w, 1);
    osp_cbor_put_int(w, OSP_EDHOC_X5CHAIN);
    if (count != 1)
        osp_cbor_put_array(w, count);
    for (size_t i = 0; i < count; i++)
        osp_cbor_put_bstr(w, ders[i]);
}

void
osp_edhoc_cert_put(struct osp_wr *w, struct osp_slice der)
{
    osp_cbor_put_bstr(w, der);
}

/* The DER bytes of a certificate; empty if `cred` is not a certificate. */
static struct osp_slice
der_of(struct osp_slice cred)
{
    struct osp_cbor  c = osp_cbor_from(cred);
    struct osp_slice der = osp_cbor_peek(&c) == OSP_CBOR_BSTR ? osp_cbor_bstr(&c) : OSP_EMPTY;

    return osp_cbor_done(&c) ? der : OSP_EMPTY;
}

enum osp_err
osp_edhoc_cred_init(struct osp_edhoc_cred *c, struct osp_slice id_cred, struct osp_slice cred)
{
    struct osp_edhoc_cred  made = { .id_cred = id_cred, .cred = cred };
    struct osp_slice       der = der_of(cred), value;
    enum osp_edhoc_id_kind kind;
    struct osp_x509        x;
    enum osp_err           e;

    if (cred.n > OSP_EDHOC_CRED_MAX || id_cred.n > OSP_EDHOC_ID_CRED_MAX || osp_edhoc_id_kind(id_cred, &kind, &value) != OSP_OK)
        return OSP_E_INVALID;
    if (der.n) {
        e = osp_x509_read(der, &x);
        if (e == OSP_OK) {
            made.key.curve = x.curve;
            made.key.len = x.key_len;
            memcpy(made.key.bytes, x.key, sizeof(made.key.bytes));
        }
    } else {
        e = osp_cose_key_read(osp_claims_key_item(cred), &made.key);
    }
    if (e == OSP_E_EDHOC_KEY || e == OSP_E_CERTIFICATE)
        e = OSP_E_INVALID;
    if (e == OSP_OK)
        *c = made;
    return e;
}

enum osp_err
osp_edhoc_own_init(struct osp_edhoc_own *o, struct osp_slice id_cred, struct osp_slice cred, struct osp_slice priv)
{
    struct osp_edhoc_cred c;
    enum osp_err          e = osp_edhoc_cred_init(&c, id_cred, cred);

    if (e == OSP_OK && priv.n != sizeof(o->priv))
        e = OSP_E_INVALID;
    if (e == OSP_OK)
        e = osp_pk_fits((enum osp_curve)c.key.curve, osp_slice(c.key.bytes, c.key.len), priv.p);
    if (e != OSP_OK)
        return e;
    o->cred = c;
    memcpy(o->priv, priv.p, sizeof(o->priv));
    return OSP_OK;
}

void
osp_edhoc_own_fini(struct osp_edhoc_own *o)
{
    osp_wipe(o, sizeof(*o));
}

/* ---- reading them ---- */

/*
 * True if `map` is a map of 1 to PARAMETERS_MAX header parameters: labels are ints or text [rfc9052#1.4], and a kid is a byte
 * string [rfc9052#3.1].
 */
static bool
is_header_map(struct osp_slice map)
{
    struct osp_cbor c = osp_cbor_from(map), kid = osp_cbor_from(osp_cbor_map_find(map, OSP_EDHOC_KID));
    size_t          pairs = osp_cbor_map(&c, PARAMETERS_MAX);

    if (osp_cbor_peek(&kid) != OSP_CBOR_END && osp_cbor_peek(&kid) != OSP_CBOR_BSTR)
        return false;
    for (size_t i = 0; i < pairs && !osp_cbor_bad(&c); i++) {
        if (osp_cbor_peek(&c) == OSP_CBOR_TSTR)
            (void)osp_cbor_tstr(&c);
        else
            (void)osp_cbor_int(&c);
        (void)osp_cbor_skip(&c, DEPTH_MAX);
    }
    return pairs > 0 && osp_cbor_done(&c);
}

enum osp_err
osp_edhoc_id_kind(struct osp_slice id_cred, enum osp_edhoc_id_kind *kind, struct osp_slice *value)
{
    static const enum osp_edhoc_id_kind order[] = {
        OSP_EDHOC_X5CHAIN, OSP_EDHOC_KCCS, OSP_EDHOC_X5T, OSP_EDHOC_KID, OSP_EDHOC_X5U,
    };

    if (!is_header_map(id_cred))
        return OSP_E_FORMAT;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct osp_slice item = osp_cbor_map_find(id_cred, order[i]);

        if (item.n) {
            *kind = order[i];
            *value = item;
            return OSP_OK;
        }
    }
    return OSP_E_EDHOC_CRED_TYPE;
}

/* True if `id_cred` is { 4 : bstr } with no other entry; *kid is that byte string. */
static bool
is_lone_kid(struct osp_slice id_cred, struct osp_slice *kid)
{
    struct osp_cbor c = osp_cbor_from(id_cred);

    if (osp_cbor_map(&c, PARAMETERS_MAX) != 1 || osp_cbor_int(&c) != OSP_EDHOC_KID)
        return false;
    *kid = osp_cbor_bstr(&c);
    return osp_cbor_done(&c);
}

void
osp_edhoc_id_put(struct osp_wr *w, struct osp_slice id_cred)
{
    struct osp_slice kid;

    if (is_lone_kid(id_cred, &kid))
        osp_edhoc_bstr_put(w, kid);
    else
        osp_wr_put(w, id_cred);
}

struct osp_slice
osp_edhoc_id(struct osp_cbor *c, uint8_t buf[OSP_EDHOC_KID_MAX + 4])
{
    struct osp_wr    w = osp_wr_to(buf, OSP_EDHOC_KID_MAX + 4);
    struct osp_slice id, kid;

    if (osp_cbor_peek(c) == OSP_CBOR_MAP) {
        id = osp_cbor_skip(c, DEPTH_MAX + 1);
        /* [rfc9528#3.5.3.2] a lone kid has to be in compact form */
        if (id.n > OSP_EDHOC_ID_CRED_MAX || !is_header_map(id) || is_lone_kid(id, &kid))
            osp_rd_fail(&c->r);
    } else {
        osp_edhoc_id_kid_put(&w, osp_edhoc_bstr(c));
        id = osp_wr_slice(&w);
        if (osp_wr_bad(&w))
            osp_rd_fail(&c->r);
    }
    return osp_cbor_bad(c) ? OSP_EMPTY : id;
}

enum osp_err
osp_edhoc_x5chain_read(struct osp_slice item, struct osp_slice chain[OSP_X509_CHAIN_MAX], size_t *count)
{
    struct osp_cbor c = osp_cbor_from(item);
    size_t          n = 1;

    if (osp_cbor_peek(&c) == OSP_CBOR_ARRAY) {
        n = osp_cbor_array(&c, OSP_X509_CHAIN_MAX);
        if (n < 2)              /* [rfc9360#2] one certificate would be a byte string, not an array */
            return OSP_E_FORMAT;
    }
    for (size_t i = 0; i < n; i++)
        chain[i] = osp_cbor_bstr(&c);
    if (!osp_cbor_done(&c))
        return OSP_E_FORMAT;
    *count = n;
    return OSP_OK;
}

enum osp_err
osp_edhoc_cred_hash(struct osp_slice cred, uint8_t hash[32])
{
    struct osp_slice der = der_of(cred);

    return der.n ? osp_digest(OSP_SHA256, &der, 1, hash) : OSP_E_INVALID;
}
