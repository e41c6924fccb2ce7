/* SPDX-License-Identifier: BSD-2-Clause */
/* What people keep keys and certificates in [rfc7468]: text in, the bytes that the rest of lib/ takes out. */
#ifndef OSP_CRYPTO_PEM_H
#define OSP_CRYPTO_PEM_H

#include "base/bytes.h"
#include "base/err.h"

/* True if `text` looks like PEM: whether it can be read is another matter. */
bool osp_pem_is(struct osp_slice text);

/*
 * The certificates in `text`, one after another, as DER: appended to `w`, each a slice of `ders` (at most `max`).
 *   OSP_E_INVALID   none is there, or more than `max`.  OSP_E_NOSPACE: `w` is full.  OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_pem_certificates(struct osp_slice text, struct osp_wr *w, struct osp_slice *ders, size_t max,
                                              size_t *count);

/* Appends `der` as PEM between lines with `label`, such as "CERTIFICATE".  Latches. */
void osp_pem_put(struct osp_wr *w, const char *label, struct osp_slice der);

/*
 * The raw private key (32 bytes) in an unencrypted PKCS #8 or SEC 1 block; *curve is an enum osp_curve.
 *   OSP_E_INVALID     no private key that can be read
 *   OSP_E_ALGORITHM   one of another kind than Ed25519, X25519 and P-256
 */
OSP_CHECKED enum osp_err osp_pem_private_key(struct osp_slice text, int *curve, uint8_t priv[32]);

#endif
