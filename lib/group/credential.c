/* SPDX-License-Identifier: BSD-2-Clause */
#include "group/credential.h"

#include "cbor/claims.h"
#include "crypto/pk.h"

enum osp_err
osp_credential_key(struct osp_slice credential, struct osp_group_key *out)
{
    struct osp_cose_key k = { 0 };
    enum osp_err        e = OSP_E_INVALID;

    if (credential.n <= OSP_CREDENTIAL_MAX)
        e = osp_cose_key_read(osp_claims_key_item(credential), &k);
    if (e != OSP_OK)
        return e;
    out->curve = k.curve;
    memcpy(out->bytes, k.bytes, sizeof(out->bytes));
    out->len = k.len;
    return OSP_OK;
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
    if (priv.n != 32)
        return OSP_E_INVALID;
    return osp_pk_fits((enum osp_curve)key->curve, osp_slice(key->bytes, key->len), priv.p);
}
