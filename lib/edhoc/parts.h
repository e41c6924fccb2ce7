/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building blocks of EDHOC, exported for the vectors: the key schedule [rfc9528#4] and the structures that are hashed,
 * encrypted and signed.
 */
#ifndef OSP_EDHOC_PARTS_H
#define OSP_EDHOC_PARTS_H

#include "edhoc/edhoc.h"

/* info_label of EDHOC_KDF [rfc9528#4.1.2] */
enum osp_edhoc_label {
    OSP_EDHOC_KEYSTREAM_2 = 0, OSP_EDHOC_SALT_3E2M = 1, OSP_EDHOC_MAC_2 = 2, OSP_EDHOC_K_3 = 3, OSP_EDHOC_IV_3 = 4,
    OSP_EDHOC_SALT_4E3M = 5, OSP_EDHOC_MAC_3 = 6, OSP_EDHOC_PRK_OUT = 7, OSP_EDHOC_K_4 = 8, OSP_EDHOC_IV_4 = 9,
    OSP_EDHOC_PRK_EXPORTER = 10,
};

/* The fields that the MAC and the signature of one side cover [rfc9528#5.3.2] [rfc9528#5.4.2]. */
struct osp_edhoc_covered {
    struct osp_slice c_r;               /* C_R in its form in message_2; empty in message_3 */
    struct osp_slice id_cred, cred, ead;
    struct osp_slice th;                /* TH_2 or TH_3 */
};

/* info = ( info_label, context, length ).  Latches. */
void osp_edhoc_info_put(struct osp_wr *w, int64_t label, struct osp_slice context, size_t n);

/* EDHOC_KDF.  OSP_E_NOSPACE: info is longer than OSP_HKDF_INFO_MAX.  OSP_E_INVALID: `n` is too large.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_edhoc_kdf(int digest, struct osp_slice prk, int64_t label, struct osp_slice context, uint8_t *out,
                                       size_t n);

/* TH_2 = H( G_Y, H(message_1) ).  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_edhoc_th_2(int digest, struct osp_slice g_y, struct osp_slice h_message_1, uint8_t *out);

/* TH_3 and TH_4 = H( previous TH, PLAINTEXT, CRED ); `out` may be `th.p`.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_edhoc_th_next(int digest, struct osp_slice th, struct osp_slice plaintext, struct osp_slice cred,
                                           uint8_t *out);

/* Writes context_2 or context_3.  Latches. */
void osp_edhoc_context_put(struct osp_wr *w, const struct osp_edhoc_covered *c);
/* Writes Sig_structure with the MAC as payload.  Latches. */
void osp_edhoc_sign_structure_put(struct osp_wr *w, const struct osp_edhoc_covered *c, struct osp_slice mac);
/* Writes Enc_structure of message_3 or message_4, which is A_3 or A_4.  Latches. */
void osp_edhoc_enc_structure_put(struct osp_wr *w, struct osp_slice th);

/* The secrets that a session holds now, borrowed: the transcript hash, the last PRK of the schedule, PRK_exporter. */
struct osp_edhoc_secrets { struct osp_slice th, prk, prk_exporter; };
struct osp_edhoc_secrets osp_edhoc_secrets(const struct osp_edhoc *s);

#endif
