/* SPDX-License-Identifier: BSD-2-Clause */
/* Hashes and the two halves of HKDF [rfc5869], for key schedules that use them one by one. */
#ifndef OSP_CRYPTO_DIGEST_H
#define OSP_CRYPTO_DIGEST_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_DIGEST_MAX 64
#define OSP_HKDF_INFO_MAX 8192          /* bytes of info: EDHOC puts whole credentials there */

/* COSE algorithm numbers [rfc9054#2] */
enum osp_digest { OSP_SHA256 = -16, OSP_SHA384 = -43, OSP_SHA512 = -44 };
#define OSP_SHA256_64 (-15)             /* first 8 bytes of SHA-256; used in messages, but osp_digest() does not accept it */

/* Bytes of a digest: 32, 48 or 64; 0: `alg` is not an enum osp_digest. */
size_t osp_digest_len(int alg);

/* Hash of the concatenation of `count` parts. OSP_E_ALGORITHM, OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_digest(int alg, const struct osp_slice *parts, size_t count, uint8_t *out);

/* PRK = HMAC(salt, ikm), osp_digest_len() bytes. An empty salt is a string of zeroes. OSP_E_ALGORITHM, OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_hkdf_extract(int alg, struct osp_slice salt, struct osp_slice ikm, uint8_t *out);

/*
 * Expands `prk` to `n` bytes; n <= 255 * osp_digest_len().
 *   OSP_E_INVALID   `n` is too large, or info is longer than OSP_HKDF_INFO_MAX
 *   OSP_E_ALGORITHM, OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_hkdf_expand(int alg, struct osp_slice prk, struct osp_slice info, uint8_t *out, size_t n);

#endif
