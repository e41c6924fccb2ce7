/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: CRED_x, what identifies it (ID_CRED_x), and the key in it [rfc9528#3.5].
 *
 * Two kinds: a CWT Claims Set with a COSE_Key (CCS), and an X.509 certificate.  A credential is authenticated as the
 * bytes it is; only its public key is looked for.  ID_CRED_x is kept as its full map, { 4 : kid } too; the compact
 * form is made and undone where PLAINTEXT_2 and PLAINTEXT_3 are written and read.
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

/* A credential of our own.  The slices of `cred` are borrowed for as long as it is used. */
struct osp_edhoc_own {
    struct osp_edhoc_cred cred;
    uint8_t               priv[32];     /* secret: osp_edhoc_own_fini() wipes it */
};

/* Whom a credential stands for. */
struct osp_edhoc_peer {
    struct osp_edhoc_cred cred;
    uint32_t              label;        /* the caller's: an index, a policy */
    uint8_t               hash[32];     /* the rest is private to peers.c: SHA-256 of a certificate, */
    uint32_t              by_id, by_value;      /* and which peer is the so-many'th in two orders */
};

/* ---- making them ---- */

/*
 * Appends a CCS: 'sub' (NULL: none), 'cnf' with a COSE_Key, and its 'kid' (empty: none), in deterministic encoding.
 * Latches; a compressed P-256 key (33 bytes) is written with the sign of y.
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
 * A credential from its two items, which stay borrowed.  The key is found in `cred`.
 *   OSP_E_INVALID      `id_cred` is no map of header parameters, `cred` neither CCS nor certificate, or one is too long
 *   OSP_E_ALGORITHM    a key of another kind than Ed25519, X25519 and P-256
 */
OSP_CHECKED enum osp_err osp_edhoc_cred_init(struct osp_edhoc_cred *c, struct osp_slice id_cred, struct osp_slice cred);

/*
 * The same with our private key, of which a copy is kept.
 *   OSP_E_INVALID      also: `priv` is not 32 bytes or not the private key of this credential
 *   OSP_E_ALGORITHM
 */
OSP_CHECKED enum osp_err osp_edhoc_own_init(struct osp_edhoc_own *o, struct osp_slice id_cred, struct osp_slice cred,
                                            struct osp_slice priv);
void osp_edhoc_own_fini(struct osp_edhoc_own *o);

/* ---- reading them ---- */

/*
 * What a map ID_CRED_x identifies by: its first parameter of those that are known, looked for in the order x5chain, kccs,
 * x5t, kid, x5u.  `value` is that parameter's item.
 *   OSP_E_FORMAT            no map of header parameters
 *   OSP_E_EDHOC_CRED_TYPE   none of them is known
 */
OSP_CHECKED enum osp_err osp_edhoc_id_kind(struct osp_slice id_cred, enum osp_edhoc_id_kind *kind, struct osp_slice *value);

/* ID_CRED_x as it stands in a plaintext: a lone kid as its identifier [rfc9528#3.5.3.2].  Latches. */
void osp_edhoc_id_put(struct osp_wr *w, struct osp_slice id_cred);

/*
 * Reads it back into a map.  A map is borrowed from the input; for a lone kid it is made in `buf`.
 * Latches in `c` when it is malformed, longer than the limits above, or a lone kid that should have been compact.
 */
struct osp_slice osp_edhoc_id(struct osp_cbor *c, uint8_t buf[OSP_EDHOC_KID_MAX + 4]);

/*
 * Certificates of an x5chain item, end entity first.
 *   OSP_E_FORMAT   neither one byte string nor an array of 2 to OSP_X509_CHAIN_MAX of them
 */
OSP_CHECKED enum osp_err osp_edhoc_x5chain_read(struct osp_slice item, struct osp_slice chain[OSP_X509_CHAIN_MAX], size_t *count);

/*
 * SHA-256 of a credential that is a certificate, of its DER.
 *   OSP_E_INVALID   it is none
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_edhoc_cred_hash(struct osp_slice cred, uint8_t hash[32]);

#endif
