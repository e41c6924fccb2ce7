/* SPDX-License-Identifier: BSD-2-Clause */
// A pattern of authorities, as configuration writes it:
//     coap://*.example.org      every host below example.org, any port
//     coap://host.example:5683  one host, one port
//     coap://[2001:db8::/32]    a network; a single address is written without a length; IPv4 too:
//     coap://192.0.2.0/24       (brackets optional for IPv4)
//     coap://*                  everything with this scheme; "*" alone: any scheme too
#ifndef OSP_MSG_TARGET_H
#define OSP_MSG_TARGET_H

#include "msg/uri.h"

enum osp_target_kind { OSP_TARGET_ANY, OSP_TARGET_NAME, OSP_TARGET_BELOW /* *.name */, OSP_TARGET_NET };

struct osp_target {
    enum osp_target_kind kind;
    enum osp_scheme      scheme;        /* OSP_SCHEME_UNKNOWN: any */
    char                 name[256];     /* the name of NAME, and of BELOW without "*."; in lower case */
    struct osp_ip        net;
    unsigned             bits;          /* length of the prefix in the mapped form, 0-128 */
    uint16_t             port;          /* 0: any */
};

#define OSP_TARGET_TEXT_MAX 320         /* room for any pattern printed */

/* Bits after the length of a network are cleared.  OSP_E_BAD_URI: not of the form above. */
OSP_CHECKED enum osp_err osp_target_parse(struct osp_slice text, struct osp_target *out);

/* True if `a` is one of the authorities of `t`.  A NET never matches a name, a NAME never an address,
   an IPv6 network never an IPv4 address. */
bool osp_target_match(const struct osp_target *t, const struct osp_authority *a);

/* True if the pattern names this address itself (a NET that contains it): it lifts the guard
   against loopback, link-local, multicast and own addresses [rfc7252#11]. */
bool osp_target_names_ip(const struct osp_target *t, const struct osp_ip *ip);

/* Writes `t` as text with a terminating zero; parsing the text gives an equal target.  Cut at `cap` (>= 1). */
void osp_target_print(const struct osp_target *t, char *dst, size_t cap);

/* "*" and "?" in `pattern`, everything else literal. */
bool osp_glob_match(const char *pattern, const char *text);

#endif
