/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Authentication credentials of group members [gosc#2.4].
 *
 * A credential is opaque bytes wherever it is used; only its public key is looked for.  That is found in
 * a CWT Claims Set (claim 8, a COSE_Key of Ed25519, X25519 or P-256); for other formats (X.509, C509, CWT)
 * whoever configures the group says the key.
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
    uint8_t bytes[OSP_GROUP_KEY_MAX];   /* as lib/crypto takes it: 32 bytes, 64, or 33 (compressed) */
    uint8_t len;
};

/*
 * The public key in a CWT Claims Set.
 *   OSP_E_INVALID     not an (untagged) CWT Claims Set with a COSE_Key, or too long
 *   OSP_E_ALGORITHM   a key of another curve
 */
OSP_CHECKED enum osp_err osp_credential_key(struct osp_slice credential, struct osp_group_key *out);

/*
 * A public key from raw bytes, for the curve of `signature` (EdDSA: Ed25519, ES256: P-256, 0: X25519 or P-256,
 * by its length).  OSP_E_INVALID: no key of that curve.
 */
OSP_CHECKED enum osp_err osp_credential_key_raw(int signature, struct osp_slice raw, struct osp_group_key *out);

/* True if `key` can be used for `signature` (0: for key agreement alone). */
bool osp_credential_key_suits(const struct osp_group_key *key, int signature);

/* OSP_OK when `priv` (32 bytes) is the private key of `key`; OSP_E_INVALID. */
OSP_CHECKED enum osp_err osp_credential_key_fits(const struct osp_group_key *key, struct osp_slice priv);

#endif
