/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include "crypto/digest.h"

/* ---- P-256 keys from raw bytes ---- */

/* The uncompressed point of a public key of 64 (x || y), 33 (compressed) or 32 bytes (x): `point` gets 65 bytes. */
static bool
p256_point(struct osp_slice pub, uint8_t point[65])
{
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *p = g ? EC_POINT_new(g) : NULL;
    uint8_t   in[65] = { 4 };
    size_t    n = pub.n == 33 ? 33 : pub.n + 1;
    bool      ok = p && (pub.n == 64 || pub.n == 33 || pub.n == 32);

    if (ok) {
        in[0] = pub.n == 64 ? 4 : 2;
        ok = osp_slice_copy(pub, pub.n == 33 ? in : in + 1, 64) && EC_POINT_oct2point(g, p, in, n, NULL) == 1 &&
             EC_POINT_is_at_infinity(g, p) == 0 &&
             EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, point, 65, NULL) == 65;
    }
    EC_POINT_free(p);
    EC_GROUP_free(g);
    return ok;
}

/* The uncompressed point of private scalar `priv`. */
static bool
p256_public(const uint8_t priv[32], uint8_t point[65])
{
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *p = g ? EC_POINT_new(g) : NULL;
    BIGNUM   *d = BN_bin2bn(priv, 32, NULL);
    bool      ok = p && d && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(g)) < 0;

    if (ok) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
        ok = EC_POINT_mul(g, p, d, NULL, NULL, NULL) == 1 &&
             EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, point, 65, NULL) == 65;
    }
    BN_clear_free(d);
    EC_POINT_free(p);
    EC_GROUP_free(g);
    return ok;
}

/* A key object; `priv` may be NULL. */
static EVP_PKEY *
p256_key(const uint8_t point[65], const uint8_t *priv)
{
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM         *d = priv ? BN_bin2bn(priv, 32, NULL) : NULL;
    OSSL_PARAM     *params = NULL;
    EVP_PKEY_CTX   *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY       *key = NULL;

    if (b && ctx && (!priv || d) && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, 65) == 1 &&
        (!d || OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1))
        params = OSSL_PARAM_BLD_to_param(b);
    if (params && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, priv ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_clear_free(d);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static int
raw_type(enum osp_curve curve)
{
    return curve == OSP_X25519 ? EVP_PKEY_X25519 : EVP_PKEY_ED25519;
}

/* The key object of a raw private key, of any curve; NULL when it is none. */
static EVP_PKEY *
private_key(enum osp_curve curve, const uint8_t priv[32])
{
    uint8_t point[65];

    if (curve != OSP_P256)
        return EVP_PKEY_new_raw_private_key(raw_type(curve), NULL, priv, 32);
    return p256_public(priv, point) ? p256_key(point, priv) : NULL;
}

static EVP_PKEY *
public_key(enum osp_curve curve, struct osp_slice pub)
{
    uint8_t point[65];

    if (curve == OSP_P256)
        return p256_point(pub, point) ? p256_key(point, NULL) : NULL;
    return pub.n == 32 ? EVP_PKEY_new_raw_public_key(raw_type(curve), NULL, pub.p, 32) : NULL;
}

/* ---- operations ---- */

enum osp_err
osp_pk_pair(enum osp_curve curve, const uint8_t seed[32], uint8_t priv[32], uint8_t pub[64])
{
    uint8_t   point[65];
    size_t    n = 32;
    EVP_PKEY *key;
    bool      ok;

    if (curve == OSP_P256) {
        if (!p256_public(seed, point))
            return OSP_E_INVALID;
        memcpy(pub, point + 1, 64);
        memcpy(priv, seed, 32);
        return OSP_OK;
    }
    key = private_key(curve, seed);
    ok = key && EVP_PKEY_get_raw_public_key(key, pub, &n) == 1;
    EVP_PKEY_free(key);
    if (!ok)
        return OSP_E_CRYPTO;
    memcpy(priv, seed, 32);
    return OSP_OK;
}

enum osp_err
osp_pk_fits(enum osp_curve curve, struct osp_slice pub, const uint8_t priv[32])
{
    uint8_t          same[32], b[64];
    struct osp_slice made = osp_slice(b, curve == OSP_P256 ? 64 : 32);
    bool             fits = false;

    if (osp_pk_pair(curve, priv, same, b) == OSP_OK) {
        if (curve == OSP_P256 && pub.n == 33)   /* compressed: the point decides, and half of it shows in x */
            fits = osp_slice_eq(osp_slice_head(made, 32), osp_slice_tail(pub, 1)) && (made.p[63] & 1) == (pub.p[0] & 1);
        else
            fits = osp_slice_eq(made, pub);
    }
    osp_wipe(same, sizeof(same));
    return fits ? OSP_OK : OSP_E_INVALID;
}

enum osp_err
osp_pk_shared(enum osp_curve curve, const uint8_t priv[32], struct osp_slice peer_pub, uint8_t out[32])
{
    EVP_PKEY     *own = private_key(curve, priv);
    EVP_PKEY     *peer = public_key(curve, peer_pub);
    EVP_PKEY_CTX *ctx = own && peer ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t        n = 32;
    bool          ok;

    /* the library refuses an X25519 result of zeroes itself */
    ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
         EVP_PKEY_derive(ctx, out, &n) == 1 && n == 32;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return ok ? OSP_OK : OSP_E_INVALID;
}

/* DER signature <-> r || s */
static bool
es256_from_der(const uint8_t *der, size_t n, uint8_t sig[64])
{
    const uint8_t *at = der;
    ECDSA_SIG     *s = d2i_ECDSA_SIG(NULL, &at, (long)n);
    bool           ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32) == 32;

    ECDSA_SIG_free(s);
    return ok;
}

static size_t
es256_to_der(struct osp_slice sig, uint8_t *der, size_t cap)
{
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM    *r = BN_bin2bn(sig.p, 32, NULL), *v = BN_bin2bn(sig.p + 32, 32, NULL);
    int        n = 0;

    if (s && r && v && ECDSA_SIG_set0(s, r, v) == 1) {
        r = v = NULL;
        n = i2d_ECDSA_SIG(s, NULL);
        if (n > 0 && (size_t)n <= cap)
            n = i2d_ECDSA_SIG(s, &der);
        else
            n = 0;
    }
    BN_free(r);
    BN_free(v);
    ECDSA_SIG_free(s);
    return n > 0 ? (size_t)n : 0;
}

enum osp_err
osp_pk_sign(enum osp_sign alg, const uint8_t priv[32], struct osp_slice msg, uint8_t sig[OSP_SIGNATURE_LEN])
{
    EVP_PKEY   *key = private_key(alg == OSP_ES256 ? OSP_P256 : OSP_ED25519, priv);
    EVP_MD_CTX *ctx = key ? EVP_MD_CTX_new() : NULL;
    uint8_t     buf[80];
    size_t      n = sizeof(buf);
    bool        ok;

    if (!key)
        return OSP_E_INVALID;
    ok = ctx && EVP_DigestSignInit(ctx, NULL, alg == OSP_ES256 ? EVP_sha256() : NULL, NULL, key) == 1 &&
         EVP_DigestSign(ctx, buf, &n, msg.p, msg.n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    if (!ok)
        return OSP_E_CRYPTO;
    if (alg == OSP_ES256)
        return es256_from_der(buf, n, sig) ? OSP_OK : OSP_E_CRYPTO;
    if (n != OSP_SIGNATURE_LEN)
        return OSP_E_CRYPTO;
    memcpy(sig, buf, OSP_SIGNATURE_LEN);
    return OSP_OK;
}

enum osp_err
osp_pk_verify(enum osp_sign alg, struct osp_slice pub, struct osp_slice msg, struct osp_slice sig)
{
    EVP_PKEY   *key = public_key(alg == OSP_ES256 ? OSP_P256 : OSP_ED25519, pub);
    EVP_MD_CTX *ctx = key ? EVP_MD_CTX_new() : NULL;
    uint8_t     der[80];
    bool        ok;

    if (!key)
        return OSP_E_INVALID;
    ok = ctx && sig.n == OSP_SIGNATURE_LEN;
    if (ok && alg == OSP_ES256) {
        size_t n = es256_to_der(sig, der, sizeof(der));
        sig = osp_slice(der, n);
    }
    ok = ok && sig.n && EVP_DigestVerifyInit(ctx, NULL, alg == OSP_ES256 ? EVP_sha256() : NULL, NULL, key) == 1 &&
         EVP_DigestVerify(ctx, sig.p, sig.n, msg.p, msg.n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok ? OSP_OK : OSP_E_DECRYPT;
}

/* ---- Ed25519 to X25519 ---- */

static void
reversed(const uint8_t in[32], uint8_t out[32])
{
    for (int i = 0; i < 32; i++)
        out[i] = in[31 - i];
}

/* u = (1 + y) / (1 - y) mod 2^255 - 19 [rfc7748#4.1] */
static bool
montgomery_u(const uint8_t y_be[32], uint8_t u_be[32])
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *p = NULL, *y = BN_bin2bn(y_be, 32, NULL), *a = BN_new(), *b = BN_new();
    bool    ok = ctx && y && a && b && BN_hex2bn(&p, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed") > 0 &&
              BN_cmp(y, p) < 0 && BN_mod_add(a, BN_value_one(), y, p, ctx) == 1 &&
              BN_mod_sub(b, BN_value_one(), y, p, ctx) == 1 && !BN_is_zero(b) && BN_mod_inverse(b, b, p, ctx) &&
              BN_mod_mul(a, a, b, p, ctx) == 1 && BN_bn2binpad(a, u_be, 32) == 32;

    BN_free(p);
    BN_free(y);
    BN_free(a);
    BN_free(b);
    BN_CTX_free(ctx);
    return ok;
}

enum osp_err
osp_pk_ed_to_x_public(const uint8_t ed[32], uint8_t x[32])
{
    uint8_t y[32], u[32];

    reversed(ed, y);
    y[0] &= 0x7f;               /* the sign of x is of no use here */
    if (!montgomery_u(y, u))
        return OSP_E_INVALID;
    reversed(u, x);
    return OSP_OK;
}

enum osp_err
osp_pk_ed_to_x_private(const uint8_t ed[32], uint8_t x[32])
{
    uint8_t          h[OSP_DIGEST_MAX];
    struct osp_slice in = osp_slice(ed, 32);
    enum osp_err     e = osp_digest(OSP_SHA512, &in, 1, h);

    if (e == OSP_OK)
        memcpy(x, h, 32);       /* X25519 clamps it */
    osp_wipe(h, sizeof(h));
    return e;
}
