/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cryptography: the only user of OpenSSL.
 *
 * A struct osp_crypto holds the cipher contexts of one worker, re-keyed for each operation
 * (0.30 us against 0.77 us with a fresh context, measured); security contexts hold raw keys.
 * One owner thread.
 */
#ifndef OSP_CRYPTO_CRYPTO_H
#define OSP_CRYPTO_CRYPTO_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_AEAD_KEY_MAX 32
#define OSP_AEAD_NONCE_MAX 13
#define OSP_AEAD_TAG_MAX 16

/* COSE algorithm numbers [rfc9053#4] */
enum osp_aead {
    OSP_AES_GCM_128 = 1, OSP_AES_GCM_192 = 2, OSP_AES_GCM_256 = 3,
    OSP_AES_CCM_16_64_128 = 10, OSP_AES_CCM_16_64_256 = 11,
    OSP_AES_CCM_64_64_128 = 12, OSP_AES_CCM_64_64_256 = 13,
    OSP_CHACHA20_POLY1305 = 24,
    OSP_AES_CCM_16_128_128 = 30, OSP_AES_CCM_16_128_256 = 31,
    OSP_AES_CCM_64_128_128 = 32, OSP_AES_CCM_64_128_256 = 33,
};
enum osp_hkdf { OSP_HKDF_SHA256 = -10, OSP_HKDF_SHA512 = -11 };

struct osp_aead_info {
    int         id;
    const char *name;           /* name in the COSE registry, such as "AES-CCM-16-64-128" */
    uint8_t     key_len, nonce_len, tag_len;
};

/* The facts about an algorithm, static; NULL: it is not supported. */
const struct osp_aead_info *osp_aead_info(int id);
const struct osp_aead_info *osp_aead_by_name(struct osp_slice name);

/* Names such as "HKDF SHA-256"; NULL or 0: unknown.  "SHA-256" and "HKDF-SHA-256" are accepted as well. */
const char *osp_hkdf_name(int id);
int osp_hkdf_by_name(struct osp_slice name);

struct osp_crypto;

/* OSP_E_NOMEM, OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_crypto_new(struct osp_crypto **out);
void osp_crypto_free(struct osp_crypto *c);

/*
 * Encrypts `plain` into `out` (plain.n + tag_len bytes; may be the same memory).
 *   OSP_E_CRYPTO   the cryptographic library failed
 */
OSP_CHECKED enum osp_err osp_aead_seal(struct osp_crypto *c, int aead, const uint8_t *key, const uint8_t *nonce,
                                       struct osp_slice aad, struct osp_slice plain, uint8_t *out);

/*
 * Opens `sealed` into `out` (sealed.n - tag_len bytes).
 *   OSP_E_DECRYPT   the tag does not verify, or `sealed` is shorter than a tag; `out` is wiped
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_aead_open(struct osp_crypto *c, int aead, const uint8_t *key, const uint8_t *nonce,
                                       struct osp_slice aad, struct osp_slice sealed, uint8_t *out);

/* HKDF (extract and expand) [rfc5869]. OSP_E_CRYPTO, OSP_E_ALGORITHM; OSP_E_INVALID: more than 255 digests. */
OSP_CHECKED enum osp_err osp_hkdf_derive(int hkdf, struct osp_slice secret, struct osp_slice salt,
                                         struct osp_slice info, uint8_t *out, size_t n);

/* Strong random bytes from the system, for the daemon's osp_rand. OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_crypto_random(uint8_t *dst, size_t n);

#endif
