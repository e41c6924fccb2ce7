/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/edhoc share. */
#ifndef OSP_EDHOC_IMPL_H
#define OSP_EDHOC_IMPL_H

#include "edhoc/parts.h"

#define EDH_CANDIDATES_MAX 4            /* credentials tried for one ID_CRED_x */
#define EDH_PROOF_MAX 64                /* bytes of Signature_or_MAC */

/* What a handler gets and gives. */
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

/* Stores an identifier.  OSP_E_EDHOC_CID: too long for OSCORE with the suite's application AEAD. */
OSP_CHECKED enum osp_err edh_keep_cid(const struct osp_edhoc *s, struct osp_slice cid, struct osp_edhoc_cid *to);
struct osp_slice edh_cid(const struct osp_edhoc_cid *c);

/* The transcript hash and PRK as slices. */
struct osp_slice edh_th(const struct osp_edhoc *s);
struct osp_slice edh_prk(const struct osp_edhoc *s);

/* True if `role` authenticates with a static Diffie-Hellman key in `method` [rfc9528#3.2]. */
bool edh_by_dh(uint8_t method, enum osp_edhoc_role role);

/* Our first credential whose key suits; NULL when there is none. */
const struct osp_edhoc_own *edh_own(const struct osp_edhoc_profile *p, enum osp_edhoc_role role, uint8_t method,
                                    const struct osp_edhoc_suite *suite);

/* The suites of the profile for which we have a credential. */
void edh_usable_suites(const struct osp_edhoc *s, struct osp_edhoc_suites *out);

/* Judges an EAD field that we are asked to send. */
OSP_CHECKED enum osp_err edh_check_ead(struct osp_slice ead);

/* ---- auth.c ---- */

/* One side's authentication in message_2 or message_3. */
struct edh_auth {
    enum osp_edhoc_role      by;
    struct osp_edhoc_covered covered;   /* `th` is filled in */
};

/*
 * From the PRK of the message before to the one that this side's MAC is made with: the same when it signs, else
 * extracted with the shared secret of `priv` and `pub` [rfc9528#4.1.1.2] [rfc9528#4.1.1.3].
 */
OSP_CHECKED enum osp_err edh_next_prk(const struct osp_edhoc *s, enum osp_edhoc_role by, const uint8_t priv[32],
                                      struct osp_slice pub, uint8_t prk[OSP_DIGEST_MAX]);

/* Signature_or_MAC of our own credential under `prk`. */
OSP_CHECKED enum osp_err edh_prove(const struct osp_edhoc *s, const struct edh_auth *a, const uint8_t *prk,
                                   uint8_t proof[EDH_PROOF_MAX], size_t *len);

/*
 * Finds whom `a->covered.id_cred` means and verifies `proof`; fills in cred, who and `prk`.  `scratch` holds a certificate
 * that came in a chain.
 */
struct edh_scratch { uint8_t cert[OSP_EDHOC_CRED_MAX]; };
OSP_CHECKED enum osp_err edh_verify(struct osp_edhoc *s, struct edh_auth *a, struct osp_slice proof, struct edh_scratch *scratch,
                                    uint8_t prk[OSP_DIGEST_MAX]);

/* ---- message_3.c, message_4.c ---- */

/*
 * message_3 and message_4 are a byte string, sealed with the key and the nonce that the PRK of the session gives under `k_label`
 * and the label after it.  edh_seal() appends it; edh_open() decrypts into `plain` and gives the part that is used.
 * OSP_E_NOSPACE; OSP_E_FORMAT, OSP_E_TOO_LARGE, OSP_E_DECRYPT.
 */
OSP_CHECKED enum osp_err edh_seal(const struct osp_edhoc *s, int k_label, struct osp_slice plain, struct osp_wr *out);
OSP_CHECKED enum osp_err edh_open(const struct osp_edhoc *s, int k_label, struct osp_slice message,
                                  uint8_t plain[OSP_EDHOC_MESSAGE_MAX], struct osp_slice *out);

/* The single byte string that message_2, 3 and 4 are.  OSP_E_FORMAT, OSP_E_TOO_LARGE. */
OSP_CHECKED enum osp_err edh_one_bstr(struct osp_slice message, struct osp_slice *out);

#endif
