/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/edhoc share and nobody else sees. */
#ifndef OSP_EDHOC_IMPL_H
#define OSP_EDHOC_IMPL_H

#include "edhoc/parts.h"

#define EDH_CANDIDATES_MAX 4            /* credentials tried for one ID_CRED_x */
#define EDH_PROOF_MAX 64                /* bytes of Signature_or_MAC */

/* Arguments and results of a handler; each handler uses some of them. */
struct edh_args {
    struct osp_slice        in, cid, ead;
    const uint8_t          *seed;
    int64_t                 suite;
    uint8_t                 method;
    struct osp_wr          *out;
    struct osp_edhoc_eads  *eads;
    struct osp_edhoc_error *error;
};

/* ---- one message, one file ---- */
OSP_CHECKED enum osp_err edh_make_1(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_take_1(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_make_2(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_take_2(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_make_3(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_take_3(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_make_4(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_take_4(struct osp_edhoc *s, const struct edh_args *a);
OSP_CHECKED enum osp_err edh_take_error(struct osp_edhoc *s, const struct edh_args *a);

/* ---- session.c ---- */

/* Copies an identifier.  OSP_E_EDHOC_CID: it is too long for OSCORE with the suite's application AEAD. */
OSP_CHECKED enum osp_err edh_keep_cid(const struct osp_edhoc *s, struct osp_slice cid, struct osp_edhoc_cid *to);
struct osp_slice edh_cid(const struct osp_edhoc_cid *c);

/* The transcript hash and PRK as slices. */
struct osp_slice edh_th(const struct osp_edhoc *s);
struct osp_slice edh_prk(const struct osp_edhoc *s);

/* True if `role` authenticates with a static Diffie-Hellman key in `method` [rfc9528#3.2]. */
bool edh_by_dh(uint8_t method, enum osp_edhoc_role role);

/* Our first credential whose key suits method and suite; NULL: no credential suits. */
const struct osp_edhoc_own *edh_own(const struct osp_edhoc_profile *p, enum osp_edhoc_role role, uint8_t method,
                                    const struct osp_edhoc_suite *suite);

/* The suites of the profile for which we have a credential. */
void edh_usable_suites(const struct osp_edhoc *s, struct osp_edhoc_suites *out);

/* Checks an EAD field that the caller wants to send. */
OSP_CHECKED enum osp_err edh_check_ead(struct osp_slice ead);

/* ---- auth.c ---- */

/* One side's authentication in message_2 or message_3. */
struct edh_auth {
    enum osp_edhoc_role      by;
    struct osp_edhoc_covered covered;   /* the functions below fill in `th` */
};

/*
 * Derives the PRK that makes this side's MAC from the PRK of the message before.  For a side that signs, both are equal; else the
 * PRK is extracted with the shared secret of `priv` and `pub` [rfc9528#4.1.1.2] [rfc9528#4.1.1.3].
 */
OSP_CHECKED enum osp_err edh_next_prk(const struct osp_edhoc *s, enum osp_edhoc_role by, const uint8_t priv[32],
                                      struct osp_slice pub, uint8_t prk[OSP_DIGEST_MAX]);

/* Makes Signature_or_MAC for our own credential under `prk`. */
OSP_CHECKED enum osp_err edh_prove(const struct osp_edhoc *s, const struct edh_auth *a, const uint8_t *prk,
                                   uint8_t proof[EDH_PROOF_MAX], size_t *len);

/*
 * Finds the credential that `a->covered.id_cred` means and verifies `proof` with it; fills in cred, who and `prk`.  `scratch`
 * holds a certificate that was received in a chain.
 */
struct edh_scratch { uint8_t cert[OSP_EDHOC_CRED_MAX]; };
OSP_CHECKED enum osp_err edh_verify(struct osp_edhoc *s, struct edh_auth *a, struct osp_slice proof, struct edh_scratch *scratch,
                                    uint8_t prk[OSP_DIGEST_MAX]);

/* ---- message_3.c, message_4.c ---- */

/*
 * message_3 and message_4 are one byte string each.  The PRK of the session gives its key under `k_label` and its nonce under
 * `k_label` + 1.  edh_seal() appends the encrypted string; edh_open() decrypts it into `plain`, and *out is the part of `plain`
 * that was filled.
 *   edh_seal: OSP_E_NOSPACE
 *   edh_open: OSP_E_FORMAT, OSP_E_TOO_LARGE, OSP_E_DECRYPT
 */
OSP_CHECKED enum osp_err edh_seal(const struct osp_edhoc *s, int k_label, struct osp_slice plain, struct osp_wr *out);
OSP_CHECKED enum osp_err edh_open(const struct osp_edhoc *s, int k_label, struct osp_slice message,
                                  uint8_t plain[OSP_EDHOC_MESSAGE_MAX], struct osp_slice *out);

/* Reads the single byte string that message_2, 3 or 4 consists of.  OSP_E_FORMAT, OSP_E_TOO_LARGE. */
OSP_CHECKED enum osp_err edh_one_bstr(struct osp_slice message, struct osp_slice *out);

#endif
