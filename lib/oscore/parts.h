/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules that OSCORE and Group OSCORE share; lib/group calls them too. */
#ifndef OSP_OSCORE_PARTS_H
#define OSP_OSCORE_PARTS_H

#include "msg/msg.h"
#include "oscore/oscore.h"

/*
 * Adds the Class U and I options of the outer message `in`, except for the OSCORE option, to the decrypted message `out`
 * [rfc8613#8.2].  If both messages have an option that may not be repeated, the protected one counts: the outer one has done its
 * work (it led here), and anyone on the path could have written it.  A protected Proxy-Scheme makes Uri-Host and Uri-Port Class E
 * [ocp#2.2], even if they are absent inside: outer ones name the endpoint that the layer is for, and are not part of the
 * protected authority.
 *   OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_oscore_merge_outer(const struct osp_msg *in, struct osp_msg *out);

/*
 * True if an option that holds a whole URI, with path and query, would stay readable.  It has to be split into options of the
 * right classes first [rfc8613#4.1.3.3].  `classes` is from osp_classes().
 */
bool osp_oscore_shows_uri(const struct osp_msg *in, const uint8_t *classes);

/*
 * Accepts at most one response without Partial IV (under the nonce of the request), and responses with a Partial IV in rising
 * order.  A notification without Partial IV is older than all others, so it is not accepted after one of them.  Another response
 * without Partial IV may also come second.  [rfc8613#7.4.1] [ocp#2.6.1] [gosc#5.3.1]
 *   OSP_E_REPLAY   drop the response; *nonce_used and *last_piv are unchanged
 */
OSP_CHECKED enum osp_err osp_oscore_check_order(bool *nonce_used, uint64_t *last_piv, bool notification, bool has_piv,
                                                uint64_t piv);

/*
 * These read and write an OSCORE option with flag bits that RFC 8613 reserves: the bits in `extra` are allowed, and *set tells
 * which of them were set.  Errors: see osp_oscore_opt_parse() and osp_oscore_opt_write().
 */
OSP_CHECKED enum osp_err osp_oscore_opt_read(struct osp_slice value, uint8_t extra, struct osp_oscore_opt *out, uint8_t *set);
OSP_CHECKED enum osp_err osp_oscore_opt_put(const struct osp_oscore_opt *o, uint8_t extra, struct osp_wr *w);

/*
 * Gives the decrypted notification `out` its Observe value: the outer one, for receivers that do not see the Partial IV.  A
 * notification without Partial IV is the oldest one and keeps its empty Inner value. [rfc8613#4.1.3.5.2]
 */
void osp_oscore_take_observe(const struct osp_msg *in, bool has_piv, struct osp_msg *out);

/* The value of a Partial IV of 0 to 5 bytes. */
uint64_t osp_oscore_piv_value(struct osp_slice piv);

/* Decodes the plaintext of `in` into `out`; copies type, Message ID and Token from `in`.  Errors: see osp_msg_decode_body(). */
OSP_CHECKED enum osp_err osp_oscore_decode(struct osp_slice plain, const struct osp_msg *in, struct osp_msg *out);

#endif
