/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/pem.h"

#include <limits.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypto/pk.h"

bool
osp_pem_is(struct osp_slice text)
{
    struct osp_slice mark = osp_slice_str("-----BEGIN ");

    for (size_t i = 0; i + mark.n <= text.n; i++)
        if (osp_slice_eq(osp_slice_head(osp_slice_tail(text, i), mark.n), mark))
            return true;
    return false;
}

static BIO *
reader(struct osp_slice text)
{
    return text.n <= INT_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
}

/* Reads the next block of any kind.  False: no block is left. */
static bool
next_certificate(BIO *in, struct osp_wr *w, struct osp_slice *der, bool *is_one)
{
    char          *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long           n = 0;
    size_t         start = w->n;
    bool           found = PEM_read_bio(in, &name, &header, &data, &n) == 1;

    *is_one = found && strcmp(name, PEM_STRING_X509) == 0;
    if (*is_one) {
        osp_wr_put(w, osp_slice(data, (size_t)n));
        *der = osp_slice(w->p + start, w->n - start);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return found;
}

enum osp_err
osp_pem_certificates(struct osp_slice text, struct osp_wr *w, struct osp_slice *ders, size_t max, size_t *count)
{
    BIO             *in = reader(text);
    struct osp_slice der = OSP_EMPTY;
    bool             is_one;
    size_t           n = 0;

    if (!in)
        return OSP_E_NOMEM;
    while (n <= max && next_certificate(in, w, &der, &is_one)) {
        if (is_one && n < max)
            ders[n] = der;
        n += is_one;
    }
    BIO_free(in);
    if (osp_wr_bad(w))
        return OSP_E_NOSPACE;
    if (n == 0 || n > max)
        return OSP_E_INVALID;
    *count = n;
    return OSP_OK;
}

/* The scalar of a P-256 key as 32 bytes. */
static enum osp_err
scalar_of(const EVP_PKEY *k, uint8_t priv[32])
{
    char         group[32] = "";
    BIGNUM      *d = NULL;
    enum osp_err e = OSP_E_ALGORITHM;

    if (EVP_PKEY_get_group_name((EVP_PKEY *)(uintptr_t)k, group, sizeof(group), NULL) == 1 && strcmp(group, "prime256v1") == 0 &&
        EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 && BN_bn2binpad(d, priv, 32) == 32)
        e = OSP_OK;
    BN_clear_free(d);
    return e;
}

static enum osp_err
raw_of(const EVP_PKEY *k, int *curve, uint8_t priv[32])
{
    size_t n = 32;

    switch (EVP_PKEY_get_base_id(k)) {
    case EVP_PKEY_ED25519: *curve = OSP_ED25519; break;
    case EVP_PKEY_X25519: *curve = OSP_X25519; break;
    case EVP_PKEY_EC: *curve = OSP_P256; return scalar_of(k, priv);
    default: return OSP_E_ALGORITHM;
    }
    return EVP_PKEY_get_raw_private_key(k, priv, &n) == 1 && n == 32 ? OSP_OK : OSP_E_INVALID;
}

/* Nobody is asked for a passphrase, so an encrypted key cannot be read. */
static int
no_passphrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)u;
    return -1;
}

enum osp_err
osp_pem_private_key(struct osp_slice text, int *curve, uint8_t priv[32])
{
    BIO         *in = reader(text);
    EVP_PKEY    *k = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    enum osp_err e = k ? raw_of(k, curve, priv) : OSP_E_INVALID;

    EVP_PKEY_free(k);
    BIO_free(in);
    if (e != OSP_OK)
        osp_wipe(priv, 32);
    return e;
}

/* [rfc7468#2] lines have 64 characters */
void
osp_pem_put(struct osp_wr *w, const char *label, struct osp_slice der)
{
    unsigned char line[65 + 1];

    osp_wr_put(w, osp_slice_str("-----BEGIN "));
    osp_wr_put(w, osp_slice_str(label));
    osp_wr_put(w, osp_slice_str("-----\n"));
    for (size_t at = 0; at < der.n; at += 48) {
        struct osp_slice part = osp_slice_head(osp_slice_tail(der, at), 48);
        int              n = EVP_EncodeBlock(line, part.p, (int)part.n);

        osp_wr_put(w, osp_slice(line, (size_t)n));
        osp_wr_u8(w, '\n');
    }
    osp_wr_put(w, osp_slice_str("-----END "));
    osp_wr_put(w, osp_slice_str(label));
    osp_wr_put(w, osp_slice_str("-----\n"));
}
