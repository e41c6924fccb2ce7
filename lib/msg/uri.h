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

/* The name of a scheme, such as "coap"; NULL: unknown. */
const char *osp_scheme_name(enum osp_scheme s);

/* The scheme with this name, in any case. */
enum osp_scheme osp_scheme_of(struct osp_slice name);

/* The default port of a scheme: 5683 or 5684. */
uint16_t osp_scheme_port(enum osp_scheme s);

/* What carries requests to this scheme; OSP_TRANSPORTS, which is none, for an unknown one. */
enum osp_transport_id osp_scheme_transport(enum osp_scheme s);

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
    struct osp_slice     path;  /* percent-encoded, without the leading slash; may be empty */
    struct osp_slice     query; /* percent-encoded, without the question mark */
    bool                 has_query;
};

#define OSP_HOST_MAX 255                /* bytes of a host: the longest Uri-Host */

/*
 * Splits an absolute URI.  host and path borrow from `storage` (as large as text.n), query from
 * `text`.  An empty port is the default one.
 *   OSP_E_BAD_URI   no absolute URI, unknown characters, user info, fragment, port 0 or above
 *                   65535, host empty or too long, with control characters or a dot in front
 *   OSP_E_NOSPACE   `cap` is below text.n
 * An unknown scheme is no error: to.scheme says so and the rest is empty.
 */
OSP_CHECKED enum osp_err osp_uri_split(struct osp_slice text, uint8_t *storage, size_t cap, struct osp_uri *out);

/*
 * Makes an authority from options: `host` is the value of a Uri-Host option (not
 * percent-encoded; an IP literal with or without brackets), lower-cased into `storage` (as large as host.n).
 *   OSP_E_BAD_URI   `scheme` is unknown, the port is 0, the host is refused by osp_uri_split(), or it is in brackets and not
 *                   an IPv6 address
 *   OSP_E_NOSPACE   `cap` is below host.n
 */
OSP_CHECKED enum osp_err osp_authority_make(enum osp_scheme scheme, struct osp_slice host, uint16_t port,
                                            uint8_t *storage, size_t cap, struct osp_authority *out);

/*
 * Adds Uri-Path and Uri-Query options for `uri` to `m`, percent-decoded into `storage` (room for
 * path.n + query.n and 3 bytes for each of their options), "." and ".." resolved.  On an error `m` is unchanged.
 *   OSP_E_BAD_URI   unknown characters, a segment or argument of more than 255 bytes
 *   OSP_E_OPTION_COUNT, OSP_E_NOSPACE
 */
OSP_CHECKED enum osp_err osp_uri_to_options(const struct osp_uri *uri, struct osp_msg *m, struct osp_wr *storage);

/*
 * True if a path option of `m` (`num`: Uri-Path or Location-Path) is "." or "..", which may not be sent [rfc7252#5.10.1]
 * [rfc7252#5.10.7], or is one of them between slashes ("a/../b" as one segment): whoever joins segments to the name of a
 * file would leave the part of the tree that was meant.
 */
bool osp_path_has_dots(const struct osp_msg *m, uint16_t num);

/* True if the path of `uri` has a segment "." or "..", also where a dot is written "%2e". */
bool osp_uri_has_dots(const struct osp_uri *uri);

/*
 * The request URI of `m` as text, percent-encoded, with a terminating zero: for logs and the
 * client.  Proxy-Uri and Proxy-Scheme count; `dflt` stands where scheme, Uri-Host or Uri-Port are
 * absent.  Only URI characters are written, whatever the options hold.  Cut at `cap` (>= 1).
 */
void osp_uri_print(const struct osp_msg *m, const struct osp_authority *dflt, char *dst, size_t cap);

#endif
