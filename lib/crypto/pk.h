/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Public-key operations with raw keys: signatures and Diffie-Hellman, for group/ and edhoc/.
 *
 * Ed25519 and X25519 keys are their 32 bytes.  P-256: a private key is the 32-byte scalar; a public key is
 * x || y (64 bytes), its compressed point (33 bytes), or x alone (32 bytes; EDHOC sends no sign, and both values of y give an
 * equal shared x).
 * Signatures are 64 bytes (r || s for ES256).  Nothing is cached; these are rare operations.
 */
#ifndef OSP_CRYPTO_PK_H
#define OSP_CRYPTO_PK_H

#include "base/bytes.h"
#include "base/err.h"

enum osp_curve { OSP_P256 = 1, OSP_X25519 = 4, OSP_ED25519 = 6 };      /* COSE elliptic curves [rfc9053#7.1] */
enum osp_sign { OSP_ES256 = -7, OSP_EDDSA = -8 };                       /* COSE algorithms */

#define OSP_SIGNATURE_LEN 64

/*
 * Makes a key pair from 32 random bytes: the private key in `priv` (32 bytes), the public key in `pub` (64 bytes
 * for P-256, else 32).
 *   OSP_E_INVALID   the bytes are not a valid P-256 scalar, which happens once in 2^32 times: draw new ones
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_pk_pair(enum osp_curve curve, const uint8_t seed[32], uint8_t priv[32], uint8_t pub[64]);

/* Checks that `priv` is the private key of `pub` (P-256: 64 or 33 bytes).  OSP_E_INVALID: it is not, or one is not a key. */
OSP_CHECKED enum osp_err osp_pk_fits(enum osp_curve curve, struct osp_slice pub, const uint8_t priv[32]);

/* Diffie-Hellman over P-256 or X25519: 32 bytes.  OSP_E_INVALID: `peer_pub` is not on the curve, or the result is zero. */
OSP_CHECKED enum osp_err osp_pk_shared(enum osp_curve curve, const uint8_t priv[32], struct osp_slice peer_pub, uint8_t out[32]);

/* Signs `msg` with the raw private key (Ed25519 or P-256).  OSP_E_INVALID: `priv` is not a key for `alg`.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_pk_sign(enum osp_sign alg, const uint8_t priv[32], struct osp_slice msg,
                                     uint8_t sig[OSP_SIGNATURE_LEN]);

/* Verifies a signature.  OSP_E_DECRYPT: it does not verify.  OSP_E_INVALID: `pub` is not a key for `alg`. */
OSP_CHECKED enum osp_err osp_pk_verify(enum osp_sign alg, struct osp_slice pub, struct osp_slice msg, struct osp_slice sig);

/*
 * The X25519 key of an Ed25519 key [rfc7748#4.1]: public keys by the birational map, private keys by the
 * first half of SHA-512.  OSP_E_INVALID: no such point; OSP_E_CRYPTO.
 */
OSP_CHECKED enum osp_err osp_pk_ed_to_x_public(const uint8_t ed[32], uint8_t x[32]);
OSP_CHECKED enum osp_err osp_pk_ed_to_x_private(const uint8_t ed[32], uint8_t x[32]);

#endif
