/* SPDX-License-Identifier: BSD-2-Clause */
#include "cbor/claims.h"

#include "cbor/rd.h"

#define CLAIMS_MAX 32
#define DEPTH_MAX 6
#define CLAIM_CNF 8
#define CNF_COSE_KEY 1
#define KEY_KID 2
#define KEY_CRV (-1)
#define KEY_X (-2)
#define KEY_Y (-3)
/* curves [rfc9053#7.1]; lib/crypto names them too, but lib/cbor does not include lib/crypto */
#define CRV_P256 1
#define CRV_X25519 4
#define CRV_ED25519 6

struct osp_slice
osp_cbor_map_find(struct osp_slice map, int64_t label)
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

/* Reads x and y of a P-256 COSE_Key; y may be only its sign [rfc9053#7.1.1]. */
static enum osp_err
p256_key(struct osp_slice x, struct osp_slice y_item, struct osp_cose_key *k)
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
osp_cose_key_read(struct osp_slice item, struct osp_cose_key *out)
{
    struct osp_slice    x = as_bstr(osp_cbor_map_find(item, KEY_X));
    int64_t             curve = as_int(osp_cbor_map_find(item, KEY_CRV));
    struct osp_cose_key k = { .curve = curve > 0 && curve <= INT16_MAX ? (int)curve : 0 };
    enum osp_err        e = OSP_OK;

    if (x.n == 0)
        return OSP_E_INVALID;
    if (k.curve == CRV_P256) {
        e = p256_key(x, osp_cbor_map_find(item, KEY_Y), &k);
    } else if (k.curve != CRV_ED25519 && k.curve != CRV_X25519) {
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

struct osp_slice
osp_claims_key_item(struct osp_slice claims)
{
    return osp_cbor_map_find(osp_cbor_map_find(claims, CLAIM_CNF), CNF_COSE_KEY);
}

struct osp_slice
osp_claims_kid(struct osp_slice claims)
{
    return as_bstr(osp_cbor_map_find(osp_claims_key_item(claims), KEY_KID));
}
