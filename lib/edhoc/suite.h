/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cipher suites of EDHOC [rfc9528#3.6] and their negotiation [rfc9528#6.3].
 *
 * Suites 0 to 6.  24 (P-384) and 25 (X448, SHAKE256) are not supported.
 */
#ifndef OSP_EDHOC_SUITE_H
#define OSP_EDHOC_SUITE_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_EDHOC_SUITES_MAX 16         /* in one SUITES_I or SUITES_R */
#define OSP_EDHOC_G_LEN 32              /* bytes of an ephemeral key, of every suite here */

struct osp_edhoc_suite {
    int8_t  value;
    int     aead;                       /* EDHOC AEAD algorithm, COSE number */
    int     digest;                     /* EDHOC hash algorithm */
    uint8_t mac_len;                    /* of a MAC that is no input to a signature; bytes */
    int     curve;                      /* enum osp_curve of the ephemeral and static DH keys */
    int     sign;                       /* enum osp_sign */
    int     app_aead;
    int     app_hkdf;                   /* enum osp_hkdf over the application hash algorithm */
};

/* A list of suites as it stands in messages: any integers. */
struct osp_edhoc_suites {
    int64_t value[OSP_EDHOC_SUITES_MAX];
    size_t  count;
};

/* NULL when not supported.  Static. */
const struct osp_edhoc_suite *osp_edhoc_suite(int64_t value);

/* Curve of the signature keys of a suite (Ed25519 or P-256). */
int osp_edhoc_sign_curve(const struct osp_edhoc_suite *s);

/* True if `value` is in `list`. */
bool osp_edhoc_suites_has(const struct osp_edhoc_suites *list, int64_t value);

/*
 * Writes a list as `suites`: an int when it holds one [rfc9528#5.2.1].  Latches like every writer.
 */
void osp_edhoc_suites_put(struct osp_wr *w, const struct osp_edhoc_suites *list);

/*
 * Reads the CBOR item `item`.
 *   OSP_E_FORMAT   neither an int nor an array of 2 to OSP_EDHOC_SUITES_MAX ints
 */
OSP_CHECKED enum osp_err osp_edhoc_suites_read(struct osp_slice item, struct osp_edhoc_suites *out);

/*
 * The suite for the next message_1 after an error message with SUITES_R: the most preferred one of `own` that is in
 * `suites_r` [rfc9528#6.3.1].
 *   OSP_E_EDHOC_SUITE   none is: the two cannot talk
 */
OSP_CHECKED enum osp_err osp_edhoc_suite_choose(const struct osp_edhoc_suites *own, const struct osp_edhoc_suites *suites_r,
                                                int64_t *out);

/*
 * The Responder's judgement of SUITES_I: the last one is selected; it must be supported and none before it
 * [rfc9528#5.2.3].  `supported` in any order.
 *   OSP_E_EDHOC_SUITE   to be answered with error code 2
 */
OSP_CHECKED enum osp_err osp_edhoc_suites_judge(const struct osp_edhoc_suites *supported,
                                                 const struct osp_edhoc_suites *suites_i);

#endif
