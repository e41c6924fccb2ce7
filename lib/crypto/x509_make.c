/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates as `osprey keygen` makes them. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "crypto/impl.h"
#include "crypto/x509.h"

/* True if a text is short enough for a name, and has only characters that are safe in a name and in an extension's value. */
static bool
is_plain(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') ||
              strchr("._-", s[i])))
            return false;
    return n > 0 && n < OSP_X509_NAME_MAX && n <= ub_common_name;
}

static bool
extend(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool            ok = e && X509_add_ext(x, e, -1) == 1;

    X509_EXTENSION_free(e);
    return ok;
}

/* Adds the uses of the key, and the name as a dNSName, since programs look for host names there. */
static bool
add_extensions(X509 *x, X509 *issuer, const struct osp_x509_wish *w)
{
    X509V3_CTX  ctx;
    char        name[OSP_X509_NAME_MAX + 8];
    const char *usage = w->is_ca ? "critical,keyCertSign,digitalSignature"
                        : w->curve == OSP_ED25519 ? "critical,digitalSignature"
                        : w->curve == OSP_X25519  ? "critical,keyAgreement"
                                                  : "critical,digitalSignature,keyAgreement";

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    (void)snprintf(name, sizeof(name), "DNS:%s", w->name);
    return extend(x, &ctx, NID_basic_constraints, w->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
           extend(x, &ctx, NID_key_usage, usage) && extend(x, &ctx, NID_subject_key_identifier, "hash") &&
           (w->is_ca || extend(x, &ctx, NID_subject_alt_name, name));
}

static bool
set_serial(X509 *x, const uint8_t serial[16])
{
    BIGNUM *n = BN_bin2bn(serial, 16, NULL);
    bool    ok = n && BN_clear_bit(n, 127) >= 0 && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));

    BN_free(n);
    return ok;
}

static bool
set_names(X509 *x, X509 *issuer, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(x);

    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject) == 1;
}

static bool
fill(X509 *x, X509 *issuer, EVP_PKEY *key, const struct osp_x509_wish *w)
{
    return X509_set_version(x, 2) == 1 && set_serial(x, w->serial) && set_names(x, issuer, w->name) &&
           ASN1_TIME_set(X509_getm_notBefore(x), (time_t)w->from_s) && ASN1_TIME_set(X509_getm_notAfter(x), (time_t)w->until_s) &&
           X509_set_pubkey(x, key) == 1 && add_extensions(x, issuer ? issuer : x, w);
}

static enum osp_err
write_der(const X509 *x, struct osp_wr *out)
{
    unsigned char *der = NULL;
    int            n = i2d_X509(x, &der);

    if (n <= 0)
        return OSP_E_NOMEM;
    osp_wr_put(out, osp_slice(der, (size_t)n));
    OPENSSL_free(der);
    return osp_wr_bad(out) ? OSP_E_NOSPACE : OSP_OK;
}

enum osp_err
osp_x509_make(const struct osp_x509_wish *w, struct osp_wr *out)
{
    const unsigned char *at = w->issuer.p;
    bool                 ed = w->signer == OSP_ED25519;
    EVP_PKEY            *key = NULL, *signer = NULL;
    X509                *x = NULL, *issuer = NULL;
    enum osp_err         e = OSP_E_INVALID;

    if (!is_plain(w->name) || (!ed && w->signer != OSP_P256))
        return OSP_E_INVALID;
    key = osp_pk_evp_public(w->curve, w->pub);
    signer = osp_pk_evp_signing(ed ? OSP_EDDSA : OSP_ES256, w->signer_priv);
    x = X509_new();
    if (w->issuer.n)
        issuer = d2i_X509(NULL, &at, (long)w->issuer.n);
    if (key && signer && x && (w->issuer.n == 0 || issuer))
        e = fill(x, issuer, key, w) && X509_sign(x, signer, ed ? NULL : EVP_sha256()) > 0 ? write_der(x, out) : OSP_E_CRYPTO;
    X509_free(issuer);
    X509_free(x);
    EVP_PKEY_free(signer);
    EVP_PKEY_free(key);
    return e;
}
