/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small items of EDHOC messages: byte string identifiers [rfc9528#3.3.2] and external authorization data [rfc9528#3.8].
 */
#ifndef OSP_EDHOC_ITEM_H
#define OSP_EDHOC_ITEM_H

#include "base/err.h"
#include "cbor/rd.h"

/*
 * A connection identifier becomes an OSCORE Recipient ID, which an AEAD nonce of 13 bytes limits to 7
 * [rfc9528#3.3.3] [rfc8613#3.3].
 */
#define OSP_EDHOC_CID_MAX 7
#define OSP_EDHOC_EAD_MAX 1024          /* bytes of one EAD field */
#define OSP_EDHOC_EAD_ITEMS 8           /* in one EAD field, padding counted */

/* ---- identifiers ---- */

/* The byte string `id` as it stands in a message: an int when it is the encoding of one of -24 to 23. */
void osp_edhoc_bstr_put(struct osp_wr *w, struct osp_slice id);

/*
 * The next item as an identifier.  An int is its encoding, which is one byte of the input, so the result always borrows.
 * Latches when it is neither int nor bstr, or a bstr that should have been an int.
 */
struct osp_slice osp_edhoc_bstr(struct osp_cbor *c);

/* ---- external authorization data ---- */

struct osp_edhoc_ead {
    uint64_t         label;             /* its absolute value */
    bool             is_critical, has_value;
    struct osp_slice value;
};

/* Items that were received and whose labels the application knows, with the bytes of their values. */
struct osp_edhoc_eads {
    struct osp_edhoc_ead item[OSP_EDHOC_EAD_ITEMS];
    size_t               count;
    uint8_t              bytes[OSP_EDHOC_EAD_MAX];
};

/* Appends one item; `label` 0 is padding and never critical.  Latches. */
void osp_edhoc_ead_put(struct osp_wr *w, const struct osp_edhoc_ead *item);

/*
 * Appends exactly `n` bytes of padding [rfc9528#3.8.1], whose content is taken from `random` (n bytes).  Latches.
 */
void osp_edhoc_pad(struct osp_wr *w, const uint8_t *random, size_t n);

/*
 * Judges a received EAD field (empty: there is none).  Padding is dropped, an unknown item that is not critical ignored,
 * items with one of the `known` labels are copied to `out`, which may be NULL when nothing is known.
 *   OSP_E_FORMAT      no sequence of EAD items
 *   OSP_E_TOO_LARGE   longer than OSP_EDHOC_EAD_MAX or more items than OSP_EDHOC_EAD_ITEMS
 *   OSP_E_EDHOC_EAD   an unknown item is critical: the session is to be aborted
 */
OSP_CHECKED enum osp_err osp_edhoc_ead_read(struct osp_slice field, const uint64_t *known, size_t known_count,
                                            struct osp_edhoc_eads *out);

#endif
