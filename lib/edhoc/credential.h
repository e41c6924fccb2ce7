/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: CRED_x, what identifies it (ID_CRED_x), and the key in it [rfc9528#3.5].
 *
 * There are two kinds: a CWT Claims Set with a COSE_Key (CCS), and an X.509 certificate.  A credential is authenticated
 * as opaque bytes, from which only the public key is read.  ID_CRED_x is kept as its full map, even { 4 : kid };
 * osp_edhoc_id_put() and osp_edhoc_id() convert to and from the compact form in PLAINTEXT_2 and PLAINTEXT_3.
 */
#ifndef OSP_EDHOC_CREDENTIAL_H
#define OSP_EDHOC_CREDENTIAL_H

#include "cbor/claims.h"
#include "cbor/rd.h"
#include "crypto/x509.h"

#define OSP_EDHOC_CRED_MAX 2048         /* bytes of CRED_x as a CBOR item */
#define OSP_EDHOC_ID_CRED_MAX 3072      /* bytes of the map ID_CRED_x: it may hold a chain of certificates */
#define OSP_EDHOC_KID_MAX 64

/* COSE header parameters that identify a credential [rfc9052#3.1] [rfc9360#2] [rfc9528#10.6] */
enum osp_edhoc_id_kind {
    OSP_EDHOC_KID = 4, OSP_EDHOC_KCCS = 14, OSP_EDHOC_X5CHAIN = 33, OSP_EDHOC_X5T = 34, OSP_EDHOC_X5U = 35,
};

struct osp_edhoc_cred {
    struct osp_slice    id_cred;        /* ID_CRED_x, a CBOR map */
    struct osp_slice    cred;           /* CRED_x, a CBOR item: a map (CCS) or a byte string (certificate) */
    struct osp_cose_key key;
};

/* A credential of our own.  The slices of `cred` are borrowed as long as the credential is used. */
struct osp_edhoc_own {
    struct osp_edhoc_cred cred;
    uint8_t               priv[32];     /* secret: osp_edhoc_own_fini() wipes it */
};

/* Whom a credential stands for. */
struct osp_edhoc_peer {
    struct osp_edhoc_cred cred;
    uint32_t              label;        /* a number of the caller's choice, such as an index */
    uint8_t               hash[32];     /* this field and those below are private to peers.c; SHA-256 of a certificate */
    uint32_t              by_id, by_value;      /* entry i of two sorted orders: the index of a peer */
};

/* ---- making them ---- */

/*
 * Appends a CCS in deterministic encoding: 'sub' (NULL: left out), and 'cnf' with a COSE_Key and its 'kid' (empty: left out).
 * A compressed P-256 key (33 bytes) is written with the sign of y.  The writer latches when there is no room.
 */
void osp_edhoc_ccs_put(struct osp_wr *w, const char *sub, struct osp_slice kid, const struct osp_cose_key *key);

/* ID_CRED_x: { 4 : kid }, { 14 : ccs }, { 34 : [ -15 or -16, hash of the certificate ] }, { 33 : chain }.  They latch. */
void osp_edhoc_id_kid_put(struct osp_wr *w, struct osp_slice kid);
void osp_edhoc_id_kccs_put(struct osp_wr *w, struct osp_slice ccs);
void osp_edhoc_id_x5t_put(struct osp_wr *w, struct osp_slice der, bool truncated);
void osp_edhoc_id_x5chain_put(struct osp_wr *w, const struct osp_slice *ders, size_t count);

/* A certificate as CRED_x: its DER as a byte string.  Latches. */
void osp_edhoc_cert_put(struct osp_wr *w, struct osp_slice der);

/*
 * Makes a credential from its two items, which are borrowed as long as it is used.  The key is read from `cred`.
 *   OSP_E_INVALID      `id_cred` is not a map of header parameters, `cred` is neither a CCS nor a certificate, or one of them is
 *                      too long
 *   OSP_E_ALGORITHM    the key is not an Ed25519, X25519 or P-256 key
 */
OSP_CHECKED enum osp_err osp_edhoc_cred_init(struct osp_edhoc_cred *c, struct osp_slice id_cred, struct osp_slice cred);

/*
 * Makes a credential of our own: osp_edhoc_cred_init() with our private key, which is copied.
 *   OSP_E_INVALID      `priv` is not 32 bytes or not the private key of this credential
 *   and the errors of osp_edhoc_cred_init()
 */
OSP_CHECKED enum osp_err osp_edhoc_own_init(struct osp_edhoc_own *o, struct osp_slice id_cred, struct osp_slice cred,
                                            struct osp_slice priv);
void osp_edhoc_own_fini(struct osp_edhoc_own *o);

/* ---- reading them ---- */

/*
 * Finds the parameter by which a map ID_CRED_x identifies: the first that it has of x5chain, kccs, x5t, kid, x5u, in this
 * order.  `value` is the item of that parameter, borrowed.
 *   OSP_E_FORMAT            `id_cred` is not a map of header parameters
 *   OSP_E_EDHOC_CRED_TYPE   the map has no known parameter
 */
OSP_CHECKED enum osp_err osp_edhoc_id_kind(struct osp_slice id_cred, enum osp_edhoc_id_kind *kind, struct osp_slice *value);

/* Writes ID_CRED_x in the form of a plaintext: a lone kid as its identifier [rfc9528#3.5.3.2].  Latches. */
void osp_edhoc_id_put(struct osp_wr *w, struct osp_slice id_cred);

/*
 * Reads ID_CRED_x of a plaintext into a map.  A map is borrowed from the input; for a lone kid the map is written to `buf`.
 * `c` latches when the item is malformed, longer than the limits above, or the map of a lone kid, which should have been compact.
 */
struct osp_slice osp_edhoc_id(struct osp_cbor *c, uint8_t buf[OSP_EDHOC_KID_MAX + 4]);

/*
 * Reads the certificates of an x5chain item, end entity first; they are borrowed from `item`.
 *   OSP_E_FORMAT   `item` is neither one byte string nor an array of 2 to OSP_X509_CHAIN_MAX byte strings
 */
OSP_CHECKED enum osp_err osp_edhoc_x5chain_read(struct osp_slice item, struct osp_slice chain[OSP_X509_CHAIN_MAX], size_t *count);

/*
 * SHA-256 of the DER bytes of a certificate; `cred` is the credential.
 *   OSP_E_INVALID   `cred` is not a certificate
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_edhoc_cred_hash(struct osp_slice cred, uint8_t hash[32]);

#endif
