/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <stdatomic.h>

#include "crypto/digest.h"
#include "crypto/impl.h"

/* ---- keys from raw bytes ---- */

/* The group of P-256, made once for all threads and only read.  A thread that makes a second one frees it. */
static const EC_GROUP *
p256_group(void)
{
    static _Atomic(EC_GROUP *) kept;
    EC_GROUP                  *g = atomic_load(&kept), *none = NULL;

    if (g)
        return g;
    g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    if (g && !atomic_compare_exchange_strong(&kept, &none, g)) {
        EC_GROUP_free(g);
        g = none;
    }
    return g;
}

/* True if `d` is a private scalar of the group: 1 to n - 1. */
static bool
is_scalar(const BIGNUM *d, const EC_GROUP *g)
{
    return !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(g)) < 0;
}

/* The uncompressed point of private scalar `priv`. */
static bool
p256_public(const uint8_t priv[32], uint8_t point[65])
{
    const EC_GROUP *g = p256_group();
    EC_POINT       *p = g ? EC_POINT_new(g) : NULL;
    BIGNUM         *d = BN_bin2bn(priv, 32, NULL);
    bool            ok = p && d && is_scalar(d, g);

    if (ok) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
        ok = EC_POINT_mul(g, p, d, NULL, NULL, NULL) == 1 &&
             EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, point, 65, NULL) == 65;
    }
    BN_clear_free(d);
    EC_POINT_free(p);
    return ok;
}

static EVP_PKEY *
from_params(const char *type, int selection, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY     *key = NULL;

    if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static char p256_name[] = "prime256v1";

/*
 * Writes the encoding of a public key of 64 (x || y), 33 (compressed) or 32 bytes (x), and returns its length; 0: `pub` has
 * another length.  The library refuses points that are not on the curve.  The point at infinity has no such encoding, and the
 * cofactor is 1, so nothing else has to be checked [rfc9528#9.2].
 */
static size_t
p256_octets(struct osp_slice pub, uint8_t out[65])
{
    bool compressed = pub.n == 33;

    if (pub.n != 64 && pub.n != 33 && pub.n != 32)
        return 0;
    out[0] = pub.n == 64 ? 4 : 2;       /* x alone: both values of y give an equal shared x */
    (void)osp_slice_copy(pub, compressed ? out : out + 1, 64);
    return compressed ? 33 : pub.n + 1;
}

static EVP_PKEY *
p256_peer(struct osp_slice pub)
{
    uint8_t    in[65];
    size_t     n = p256_octets(pub, in);
    OSSL_PARAM params[3];

    if (n == 0)
        return NULL;
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, p256_name, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, in, n);
    params[2] = OSSL_PARAM_construct_end();
    return from_params("EC", EVP_PKEY_PUBLIC_KEY, params);
}

/* Makes a private key without its public key, which signing does not need. */
static EVP_PKEY *
p256_own(const uint8_t priv[32])
{
    const EC_GROUP *g = p256_group();
    BIGNUM         *d = BN_bin2bn(priv, 32, NULL);
    EVP_PKEY       *key = NULL;
    uint8_t         native[32];
    OSSL_PARAM      params[3];

    if (g && d && is_scalar(d, g) && BN_bn2nativepad(d, native, sizeof(native)) == sizeof(native)) {
        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, p256_name, 0);
        params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof(native));
        params[2] = OSSL_PARAM_construct_end();
        key = from_params("EC", EVP_PKEY_KEYPAIR, params);
    }
    osp_wipe(native, sizeof(native));
    BN_clear_free(d);
    return key;
}

static int
raw_type(enum osp_curve curve)
{
    return curve == OSP_X25519 ? EVP_PKEY_X25519 : EVP_PKEY_ED25519;
}

/*
 * Makes an X25519 key for Diffie-Hellman only.  That does not use our own public key, so any bytes are given for it, and the
 * library need not compute it.
 */
static EVP_PKEY *
x25519_own(const uint8_t priv[32])
{
    uint8_t    copy[32], unused[32] = { 9 };
    OSSL_PARAM params[3];
    EVP_PKEY  *key;

    memcpy(copy, priv, sizeof(copy));
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, copy, sizeof(copy));
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, unused, sizeof(unused));
    params[2] = OSSL_PARAM_construct_end();
    key = from_params("X25519", EVP_PKEY_KEYPAIR, params);
    osp_wipe(copy, sizeof(copy));
    return key;
}

/* The key object of a raw private key for signatures; NULL: `priv` is not a key for `alg`. */
EVP_PKEY *
osp_pk_evp_signing(enum osp_sign alg, const uint8_t priv[32])
{
    return alg == OSP_ES256 ? p256_own(priv) : EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, priv, 32);
}

EVP_PKEY *
osp_pk_evp_public(enum osp_curve curve, struct osp_slice pub)
{
    if (curve == OSP_P256)
        return p256_peer(pub);
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
    key = EVP_PKEY_new_raw_private_key(raw_type(curve), NULL, seed, 32);
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
        if (curve == OSP_P256 && pub.n == 33)   /* compressed: compare x, and the sign of y */
            fits = osp_slice_eq(osp_slice_head(made, 32), osp_slice_tail(pub, 1)) && (made.p[63] & 1) == (pub.p[0] & 1);
        else
            fits = osp_slice_eq(made, pub);
    }
    osp_wipe(same, sizeof(same));
    return fits ? OSP_OK : OSP_E_INVALID;
}

/*
 * Computes x of `priv` times the peer's point, as the library's ECDH does.  This avoids two key objects, which would each make
 * the group anew (30 us of 80).
 */
static bool
p256_shared(const uint8_t priv[32], struct osp_slice pub, uint8_t out[32])
{
    const EC_GROUP *g = p256_group();
    EC_POINT       *peer = g ? EC_POINT_new(g) : NULL, *product = g ? EC_POINT_new(g) : NULL;
    BIGNUM         *d = BN_bin2bn(priv, 32, NULL), *x = BN_new();
    uint8_t         in[65];
    size_t          n = p256_octets(pub, in);
    bool            ok = product && peer && d && x && n && is_scalar(d, g) && EC_POINT_oct2point(g, peer, in, n, NULL) == 1;

    if (ok) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
        ok = EC_POINT_mul(g, product, NULL, peer, d, NULL) == 1 && EC_POINT_is_at_infinity(g, product) == 0 &&
             EC_POINT_get_affine_coordinates(g, product, x, NULL, NULL) == 1 && BN_bn2binpad(x, out, 32) == 32;
    }
    BN_clear_free(d);
    BN_clear_free(x);
    EC_POINT_free(peer);
    EC_POINT_clear_free(product);
    return ok;
}

static bool
x25519_shared(const uint8_t priv[32], struct osp_slice pub, uint8_t out[32])
{
    EVP_PKEY     *own = x25519_own(priv);
    EVP_PKEY     *peer = osp_pk_evp_public(OSP_X25519, pub);
    EVP_PKEY_CTX *ctx = own && peer ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t        n = 32;
    bool          ok;

    /* the library itself refuses a result of zeroes */
    ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
         EVP_PKEY_derive(ctx, out, &n) == 1 && n == 32;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return ok;
}

enum osp_err
osp_pk_shared(enum osp_curve curve, const uint8_t priv[32], struct osp_slice peer_pub, uint8_t out[32])
{
    bool ok = false;

    if (curve == OSP_P256)
        ok = p256_shared(priv, peer_pub, out);
    else if (curve == OSP_X25519)
        ok = x25519_shared(priv, peer_pub, out);
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
    EVP_PKEY   *key = osp_pk_evp_signing(alg, priv);
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
    EVP_PKEY   *key = osp_pk_evp_public(alg == OSP_ES256 ? OSP_P256 : OSP_ED25519, pub);
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
    y[0] &= 0x7f;               /* the sign of x is not needed here */
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
