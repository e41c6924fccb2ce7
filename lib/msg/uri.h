/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * URIs and the options that carry them [rfc7252#6.4] [rfc7252#6.5] [rfc7252#5.7.2].
 */
#ifndef OSP_MSG_URI_H
#define OSP_MSG_URI_H

#include "base/addr.h"
#include "msg/msg.h"

enum osp_scheme { OSP_SCHEME_COAP, OSP_SCHEME_COAPS, OSP_SCHEME_COAP_TCP, OSP_SCHEME_COAPS_TCP,
                  OSP_SCHEME_UNKNOWN };

/* "coap", ..., NULL for unknown. */
const char *osp_scheme_name(enum osp_scheme s);

/* Scheme of this name in any case. */
enum osp_scheme osp_scheme_of(struct osp_slice name);

/* 5683 or 5684. */
uint16_t osp_scheme_port(enum osp_scheme s);

/*
 * Where a request goes.  `host` is a reg-name in lower case with percent-encodings resolved, or
 * an IP literal without brackets; borrowed from the message or from `storage` given to the
 * function that made this.
 */
struct osp_authority {
    enum osp_scheme  scheme;
    struct osp_slice host;
    uint16_t         port;
    bool             is_ip;
    struct osp_ip    ip;        /* when is_ip */
};

struct osp_uri {
    struct osp_authority to;
    struct osp_slice     path;  /* raw, without the leading slash; may be empty */
    struct osp_slice     query; /* raw, without the question mark */
    bool                 has_query;
};

/*
 * Splits an absolute URI.  Lower-cases the host into `storage` (as large as text.n).
 *   OSP_E_BAD_URI   no absolute URI, unknown characters, user info, fragment, bad port, empty host
 * An unknown scheme is no error: to.scheme says so and the rest is not filled.
 */
OSP_CHECKED enum osp_err osp_uri_split(struct osp_slice text, uint8_t *storage, size_t cap, struct osp_uri *out);

/*
 * Adds Uri-Path and Uri-Query options for `uri` to `m`, percent-decoded into `storage`, "." and
 * ".." resolved.  OSP_E_BAD_URI, OSP_E_OPTION_COUNT, OSP_E_NOSPACE.
 */
OSP_CHECKED enum osp_err osp_uri_to_options(const struct osp_uri *uri, struct osp_msg *m, struct osp_wr *storage);

/*
 * The request URI of `m` as text, percent-encoded, with a terminating zero: for logs and the
 * client.  `dflt` stands where Uri-Host / Uri-Port are absent.  Cut at `cap`.
 */
void osp_uri_print(const struct osp_msg *m, const struct osp_authority *dflt, char *dst, size_t cap);

#endif
