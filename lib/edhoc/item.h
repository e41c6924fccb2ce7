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
#define OSP_EDHOC_EAD_ITEMS 8           /* items in one EAD field, padding included */

/* ---- identifiers ---- */

/* Writes the byte string `id` in the form of a message: as an int, if `id` is the encoding of one from -24 to 23. */
void osp_edhoc_bstr_put(struct osp_wr *w, struct osp_slice id);

/*
 * Reads the next item as an identifier.  An int stands for its encoding, one byte of the input, so the result always borrows.
 * `c` latches when the item is neither an int nor a byte string, or a byte string that should have been an int.
 */
struct osp_slice osp_edhoc_bstr(struct osp_cbor *c);

/* ---- external authorization data ---- */

struct osp_edhoc_ead {
    uint64_t         label;             /* absolute value of the label */
    bool             is_critical, has_value;
    struct osp_slice value;
};

/* The received items whose labels the application knows; `bytes` holds their values. */
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
 * Reads a received EAD field, which may be empty.  Padding is dropped, and unknown items that are not critical are ignored.
 * Items with one of the `known` labels are copied to `out`, which may be NULL if no label is known.
 *   OSP_E_FORMAT      `field` is not a sequence of EAD items
 *   OSP_E_TOO_LARGE   `field` is longer than OSP_EDHOC_EAD_MAX or has more items than OSP_EDHOC_EAD_ITEMS
 *   OSP_E_EDHOC_EAD   an unknown item is critical: abort the session
 */
OSP_CHECKED enum osp_err osp_edhoc_ead_read(struct osp_slice field, const uint64_t *known, size_t known_count,
                                            struct osp_edhoc_eads *out);

#endif
