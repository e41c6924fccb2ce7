/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

static const EVP_MD *
md_of(int alg)
{
    switch (alg) {
    case OSP_SHA256:
        return EVP_sha256();
    case OSP_SHA384:
        return EVP_sha384();
    case OSP_SHA512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

size_t
osp_digest_len(int alg)
{
    const EVP_MD *md = md_of(alg);
    return md ? (size_t)EVP_MD_get_size(md) : 0;
}

enum osp_err
osp_digest(int alg, const struct osp_slice *parts, size_t count, uint8_t *out)
{
    const EVP_MD *md = md_of(alg);
    EVP_MD_CTX   *ctx;
    bool          ok;

    if (!md)
        return OSP_E_ALGORITHM;
    ctx = EVP_MD_CTX_new();
    ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = parts[i].n == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? OSP_OK : OSP_E_CRYPTO;
}

static enum osp_err
hkdf(int alg, int mode, struct osp_slice key, const char *extra_name, struct osp_slice extra, uint8_t *out, size_t n)
{
    const EVP_MD *md = md_of(alg);
    EVP_KDF      *kdf;
    EVP_KDF_CTX  *ctx;
    OSSL_PARAM    params[5];
    size_t        at = 0;
    static char   empty[1];
    bool          ok;

    if (!md)
        return OSP_E_ALGORITHM;
    kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    EVP_KDF_free(kdf);
    if (!ctx)
        return OSP_E_CRYPTO;
    params[at++] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[at++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)EVP_MD_get0_name(md), 0);
    params[at++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.n ? (void *)(uintptr_t)key.p : empty, key.n);
    if (extra.n)
        params[at++] = OSSL_PARAM_construct_octet_string(extra_name, (void *)(uintptr_t)extra.p, extra.n);
    params[at] = OSSL_PARAM_construct_end();
    ok = EVP_KDF_derive(ctx, out, n, params) == 1;
    EVP_KDF_CTX_free(ctx);
    return ok ? OSP_OK : OSP_E_CRYPTO;
}

enum osp_err
osp_hkdf_extract(int alg, struct osp_slice salt, struct osp_slice ikm, uint8_t *out)
{
    static const uint8_t zeroes[OSP_DIGEST_MAX];
    size_t               n = osp_digest_len(alg);

    if (salt.n == 0)
        salt = osp_slice(zeroes, n);
    return hkdf(alg, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, ikm, OSSL_KDF_PARAM_SALT, salt, out, n);
}

enum osp_err
osp_hkdf_expand(int alg, struct osp_slice prk, struct osp_slice info, uint8_t *out, size_t n)
{
    return hkdf(alg, EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, OSSL_KDF_PARAM_INFO, info, out, n);
}
