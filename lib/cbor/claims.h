/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys in CBOR: a COSE_Key, and the CWT Claims Set around it [rfc8392#3.1] [rfc8747#3.1] [rfc9052#7.1].
 *
 * For reading hostile credentials: bounded, nothing is allocated, slices borrow from the input.
 */
#ifndef OSP_CBOR_CLAIMS_H
#define OSP_CBOR_CLAIMS_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_COSE_KEY_MAX 64             /* bytes of a public key: x || y of P-256 */

/* A public key in the form of crypto/pk.h: 32 bytes, 64 (x || y), or 33 (compressed). */
struct osp_cose_key {
    int     curve;                      /* COSE elliptic curve [rfc9053#7.1] */
    uint8_t bytes[OSP_COSE_KEY_MAX];
    uint8_t len;
};

/* The item under integer `label` of a map, borrowed; empty: the map has no such label, or `map` is not one map. */
struct osp_slice osp_cbor_map_find(struct osp_slice map, int64_t label);

/*
 * The public key of a COSE_Key of P-256, X25519 or Ed25519.
 *   OSP_E_INVALID     `item` is not such a map, or a coordinate has the wrong length
 *   OSP_E_ALGORITHM   the key is of another curve
 */
OSP_CHECKED enum osp_err osp_cose_key_read(struct osp_slice item, struct osp_cose_key *out);

/* The COSE_Key item in the 'cnf' claim of an untagged CWT Claims Set, borrowed; empty: there is no such item. */
struct osp_slice osp_claims_key_item(struct osp_slice claims);

/* The 'kid' of the key in the 'cnf' claim, borrowed; empty: the key has no kid. */
struct osp_slice osp_claims_kid(struct osp_slice claims);

#endif
