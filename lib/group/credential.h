/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Authentication credentials of group members [gosc#2.4].
 *
 * Everywhere a credential is opaque bytes, except that its public key is needed.  The key is read from a CWT
 * Claims Set (claim 8, a COSE_Key of Ed25519, X25519 or P-256).  For other formats (X.509, C509, CWT) the
 * configuration gives the key beside the credential.
 */
#ifndef OSP_GROUP_CREDENTIAL_H
#define OSP_GROUP_CREDENTIAL_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_CREDENTIAL_MAX 2048         /* bytes of one credential */
#define OSP_GROUP_KEY_MAX 64            /* bytes of a public key: x || y of P-256 */

/* COSE elliptic curves [rfc9053#7.1]; 0 stands for none. */
struct osp_group_key {
    int     curve;
    uint8_t bytes[OSP_GROUP_KEY_MAX];   /* in the form of crypto/pk.h: 32, 64, or 33 bytes (compressed) */
    uint8_t len;
};

/*
 * Reads the public key in a CWT Claims Set.
 *   OSP_E_INVALID     the credential is not an untagged CWT Claims Set with a COSE_Key, or is too long
 *   OSP_E_ALGORITHM   the key is of another curve
 */
OSP_CHECKED enum osp_err osp_credential_key(struct osp_slice credential, struct osp_group_key *out);

/*
 * Makes a public key from raw bytes, for the curve of `signature` (EdDSA: Ed25519, ES256: P-256, 0: X25519 or
 * P-256, depending on the length).  OSP_E_INVALID: the bytes are not a key of that curve.
 */
OSP_CHECKED enum osp_err osp_credential_key_raw(int signature, struct osp_slice raw, struct osp_group_key *out);

/* True if `key` can be used for `signature` (0: only for key agreement). */
bool osp_credential_key_suits(const struct osp_group_key *key, int signature);

/* Checks that `priv` (32 bytes) is the private key of `key`.  OSP_E_INVALID: it is not. */
OSP_CHECKED enum osp_err osp_credential_key_fits(const struct osp_group_key *key, struct osp_slice priv);

#endif
