/* SPDX-License-Identifier: BSD-2-Clause */
#include "group/credential.h"

#include "cbor/rd.h"
#include "crypto/pk.h"

#define CLAIMS_MAX 32
#define DEPTH_MAX 6
/* claims and COSE_Key labels [rfc8392#3.1] [rfc8747#3.1] [rfc9052#7.1] */
#define CLAIM_CNF 8
#define CNF_COSE_KEY 1
#define KEY_CRV (-1)
#define KEY_X (-2)
#define KEY_Y (-3)

/* The item under integer `label` of a map; empty when there is none. */
static struct osp_slice
map_find(struct osp_slice map, int64_t label)
{
    struct osp_cbor  c = osp_cbor_from(map);
    size_t           pairs = osp_cbor_map(&c, CLAIMS_MAX);
    struct osp_slice found = OSP_EMPTY;

    for (size_t i = 0; i < pairs && !osp_cbor_bad(&c); i++) {
        enum osp_cbor_type t = osp_cbor_peek(&c);
        bool               number = t == OSP_CBOR_UINT || t == OSP_CBOR_NINT;
        bool               ours = number && osp_cbor_int(&c) == label;
        struct osp_slice   value;

        if (!number)
            (void)osp_cbor_skip(&c, DEPTH_MAX);
        value = osp_cbor_skip(&c, DEPTH_MAX);
        if (ours)
            found = value;
    }
    return osp_cbor_done(&c) ? found : OSP_EMPTY;
}

static int64_t
as_int(struct osp_slice item)
{
    struct osp_cbor c = osp_cbor_from(item);

    return osp_cbor_int(&c);
}

static struct osp_slice
as_bstr(struct osp_slice item)
{
    struct osp_cbor c = osp_cbor_from(item);

    return osp_cbor_peek(&c) == OSP_CBOR_BSTR ? osp_cbor_bstr(&c) : OSP_EMPTY;
}

/* The x and y of a P-256 COSE_Key; y may be its sign alone [rfc9053#7.1.1]. */
static enum osp_err
p256_key(struct osp_slice x, struct osp_slice y_item, struct osp_group_key *k)
{
    struct osp_wr    w = osp_wr_to(k->bytes, sizeof(k->bytes));
    struct osp_slice y = as_bstr(y_item);
    struct osp_cbor  c = osp_cbor_from(y_item);

    if (x.n != 32 || (y.n != 0 && y.n != 32))
        return OSP_E_INVALID;
    if (y.n == 0) {
        uint8_t sign = osp_cbor_bool(&c) ? 3 : 2;

        if (!osp_cbor_done(&c))
            return OSP_E_INVALID;
        osp_wr_u8(&w, sign);
    }
    osp_wr_put(&w, x);
    osp_wr_put(&w, y);
    k->len = (uint8_t)w.n;
    return OSP_OK;
}

enum osp_err
osp_credential_key(struct osp_slice credential, struct osp_group_key *out)
{
    struct osp_slice     key = map_find(map_find(credential, CLAIM_CNF), CNF_COSE_KEY);
    struct osp_slice     x = as_bstr(map_find(key, KEY_X));
    struct osp_group_key k = { .curve = (int)as_int(map_find(key, KEY_CRV)) };
    enum osp_err         e = OSP_OK;

    if (credential.n > OSP_CREDENTIAL_MAX || x.n == 0)
        return OSP_E_INVALID;
    if (k.curve == OSP_P256) {
        e = p256_key(x, map_find(key, KEY_Y), &k);
    } else if (k.curve != OSP_ED25519 && k.curve != OSP_X25519) {
        e = OSP_E_ALGORITHM;
    } else if (x.n != 32 || !osp_slice_copy(x, k.bytes, sizeof(k.bytes))) {
        e = OSP_E_INVALID;
    } else {
        k.len = 32;
    }
    if (e == OSP_OK)
        *out = k;
    return e;
}

enum osp_err
osp_credential_key_raw(int signature, struct osp_slice raw, struct osp_group_key *out)
{
    struct osp_group_key k = { .curve = OSP_P256, .len = (uint8_t)raw.n };
    bool                 p256 = raw.n == 64 || raw.n == 33;

    if (signature == OSP_EDDSA)
        k.curve = OSP_ED25519;
    else if (signature == 0 && raw.n == 32)
        k.curve = OSP_X25519;
    if (k.curve == OSP_P256 ? !p256 : raw.n != 32)
        return OSP_E_INVALID;
    if (!osp_slice_copy(raw, k.bytes, sizeof(k.bytes)))
        return OSP_E_INVALID;
    *out = k;
    return OSP_OK;
}

bool
osp_credential_key_suits(const struct osp_group_key *key, int signature)
{
    if (signature == 0)
        return key->curve == OSP_X25519 || key->curve == OSP_P256;
    return key->curve == (signature == OSP_EDDSA ? OSP_ED25519 : OSP_P256);
}

enum osp_err
osp_credential_key_fits(const struct osp_group_key *key, struct osp_slice priv)
{
    uint8_t          same[32], pub[64];
    struct osp_slice made = osp_slice(pub, key->curve == OSP_P256 ? 64 : 32);
    struct osp_slice want = osp_slice(key->bytes, key->len);
    enum osp_err     e = OSP_E_INVALID;

    if (priv.n != 32)
        return OSP_E_INVALID;
    if (osp_pk_pair((enum osp_curve)key->curve, priv.p, same, pub) == OSP_OK) {
        if (key->len == 33) /* compressed: the point decides, and half of it shows in x */
            e = osp_slice_eq(osp_slice_head(made, 32), osp_slice_tail(want, 1)) && (made.p[63] & 1) == (want.p[0] & 1)
                    ? OSP_OK : OSP_E_INVALID;
        else
            e = osp_slice_eq(made, want) ? OSP_OK : OSP_E_INVALID;
    }
    osp_wipe(same, sizeof(same));
    return e;
}
