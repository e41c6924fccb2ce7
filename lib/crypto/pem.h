/* SPDX-License-Identifier: BSD-2-Clause */
/* PEM, the text form of keys and certificates [rfc7468]: converts it to and from the bytes that the rest of lib/ uses. */
#ifndef OSP_CRYPTO_PEM_H
#define OSP_CRYPTO_PEM_H

#include "base/bytes.h"
#include "base/err.h"

/* True if `text` looks like PEM; reading it may still fail. */
bool osp_pem_is(struct osp_slice text);

/*
 * Converts the certificates in `text` to DER.  The bytes are appended to `w`; ders[i] borrows certificate i from it.
 *   OSP_E_INVALID   `text` has no certificate, or more than `max`
 *   OSP_E_NOSPACE   `w` is full
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_pem_certificates(struct osp_slice text, struct osp_wr *w, struct osp_slice *ders, size_t max,
                                              size_t *count);

/* Appends `der` as PEM between lines with `label`, such as "CERTIFICATE".  Latches. */
void osp_pem_put(struct osp_wr *w, const char *label, struct osp_slice der);

/*
 * The raw private key (32 bytes) in an unencrypted PKCS #8 or SEC 1 block; *curve is an enum osp_curve.
 *   OSP_E_INVALID     `text` has no private key that can be read
 *   OSP_E_ALGORITHM   the key is not an Ed25519, X25519 or P-256 key
 */
OSP_CHECKED enum osp_err osp_pem_private_key(struct osp_slice text, int *curve, uint8_t priv[32]);

#endif
