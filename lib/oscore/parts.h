/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules that OSCORE and Group OSCORE share: lib/group calls them too. */
#ifndef OSP_OSCORE_PARTS_H
#define OSP_OSCORE_PARTS_H

#include "msg/msg.h"
#include "oscore/oscore.h"

/*
 * Adds to the decrypted message `out` what stays of the outer one `in`: options of Class U and I but the OSCORE option
 * [rfc8613#8.2].  Where both have an option that may not be repeated, the protected instance counts: the outer one has
 * done its work (it led here), and anyone on the path could have written it.  A Proxy-Scheme inside makes Uri-Host and
 * Uri-Port Class E [ocp#2.2], present or not: outer ones named whom the layer is for, and do not complete the authority
 * that was protected.
 *   OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_oscore_merge_outer(const struct osp_msg *in, struct osp_msg *out);

/*
 * True if an option that holds the whole URI would stay outside, path and query with it: it has to be split into the
 * options that can be sorted first [rfc8613#4.1.3.3].  `classes` as of osp_classes().
 */
bool osp_oscore_shows_uri(const struct osp_msg *in, const uint8_t *classes);

/*
 * At most one response without Partial IV (under the request's nonce), the others ever newer.  A notification
 * without one is the oldest, whenever it arrives; other responses have no order among each other, so a first one may
 * come second.  [rfc8613#7.4.1] [ocp#2.6.1] [gosc#5.3.1]
 *   OSP_E_REPLAY   the two are as before
 */
OSP_CHECKED enum osp_err osp_oscore_check_order(bool *nonce_used, uint64_t *last_piv, bool notification, bool has_piv,
                                                uint64_t piv);

/*
 * The OSCORE option with flag bits that are reserved in RFC 8613: `extra` are allowed, `set` tells which of them were there.
 * As osp_oscore_opt_parse() and osp_oscore_opt_write().
 */
OSP_CHECKED enum osp_err osp_oscore_opt_read(struct osp_slice value, uint8_t extra, struct osp_oscore_opt *out, uint8_t *set);
OSP_CHECKED enum osp_err osp_oscore_opt_put(const struct osp_oscore_opt *o, uint8_t extra, struct osp_wr *w);

/*
 * The Observe value of a notification: the outer one orders for those who cannot see the Partial IV; without a Partial IV it is
 * the oldest, and the empty Inner value stays. [rfc8613#4.1.3.5.2]
 */
void osp_oscore_take_observe(const struct osp_msg *in, bool has_piv, struct osp_msg *out);

/* 0 to 5 bytes as a number. */
uint64_t osp_oscore_piv_value(struct osp_slice piv);

/* Decodes the plaintext of `in`; type, Message ID and Token are those of `in`.  As osp_msg_decode_body(). */
OSP_CHECKED enum osp_err osp_oscore_decode(struct osp_slice plain, const struct osp_msg *in, struct osp_msg *out);

#endif
