/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cipher suites of EDHOC [rfc9528#3.6] and their negotiation [rfc9528#6.3].
 *
 * Suites 0 to 6 are supported; 24 (P-384) and 25 (X448, SHAKE256) are not.
 */
#ifndef OSP_EDHOC_SUITE_H
#define OSP_EDHOC_SUITE_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_EDHOC_SUITES_MAX 16         /* suites in one SUITES_I or SUITES_R */
#define OSP_EDHOC_G_LEN 32              /* bytes of an ephemeral key, equal for all suites here */

struct osp_edhoc_suite {
    int8_t  value;
    int     aead;                       /* EDHOC AEAD algorithm, COSE number */
    int     digest;                     /* EDHOC hash algorithm */
    uint8_t mac_len;                    /* bytes of a MAC that is sent instead of a signature */
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

/* The suite with this number, static; NULL: it is not supported. */
const struct osp_edhoc_suite *osp_edhoc_suite(int64_t value);

/* Curve of the signature keys of a suite (Ed25519 or P-256). */
int osp_edhoc_sign_curve(const struct osp_edhoc_suite *s);

/* True if `value` is in `list`. */
bool osp_edhoc_suites_has(const struct osp_edhoc_suites *list, int64_t value);

/*
 * Writes a list as `suites`; a list of one suite is written as an int [rfc9528#5.2.1].  The writer latches when there is no room.
 */
void osp_edhoc_suites_put(struct osp_wr *w, const struct osp_edhoc_suites *list);

/*
 * Reads `suites` from the CBOR item `item`.
 *   OSP_E_FORMAT   `item` is neither an int nor an array of 2 to OSP_EDHOC_SUITES_MAX ints
 */
OSP_CHECKED enum osp_err osp_edhoc_suites_read(struct osp_slice item, struct osp_edhoc_suites *out);

/*
 * Chooses the suite for the next message_1 after an error message with SUITES_R: the most preferred suite of `own` that is also
 * in `suites_r` [rfc9528#6.3.1].
 *   OSP_E_EDHOC_SUITE   no suite is in both lists, so the peers cannot talk
 */
OSP_CHECKED enum osp_err osp_edhoc_suite_choose(const struct osp_edhoc_suites *own, const struct osp_edhoc_suites *suites_r,
                                                int64_t *out);

/*
 * Checks SUITES_I as the Responder: its last suite is selected and must be supported, and no suite before it may be supported
 * [rfc9528#5.2.3].  `supported` may be in any order.
 *   OSP_E_EDHOC_SUITE   answer with error code 2
 */
OSP_CHECKED enum osp_err osp_edhoc_suites_judge(const struct osp_edhoc_suites *supported,
                                                 const struct osp_edhoc_suites *suites_i);

#endif
