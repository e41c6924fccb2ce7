/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One CoAP message, decoded, and its codec for UDP [rfc7252#3], TCP framing [rfc8323#3.2] and
 * extended tokens [rfc8974#2.1].
 *
 * A decoded message borrows every byte from the datagram it came from; nothing is allocated.
 * What decodes, encodes to an equal message; options keep their order within a number.
 */
#ifndef OSP_MSG_MSG_H
#define OSP_MSG_MSG_H

#include "base/bytes.h"
#include "base/err.h"
#include "msg/coap.h"

#define OSP_MSG_OPTS_MAX 128            /* options of one message; more are refused */
#define OSP_TOKEN_MAX 65804             /* [rfc8974#2.1] */

struct osp_opt {
    uint16_t         num;
    struct osp_slice val;
};

struct osp_msg {
    uint8_t          type;              /* enum osp_type; of no meaning over TCP */
    uint8_t          code;
    uint16_t         mid;
    uint16_t         opt_count;
    struct osp_slice token;
    struct osp_slice payload;
    struct osp_opt   opts[OSP_MSG_OPTS_MAX];    /* ascending by num; only opt_count are defined */
};

/* Makes an empty message of `code` (no options, token or payload; type CON, mid 0). */
void osp_msg_init(struct osp_msg *m, uint8_t code);

/* Copies `src`, only the options in use. The bytes stay borrowed. */
void osp_msg_copy(struct osp_msg *dst, const struct osp_msg *src);

/*
 * Decodes one datagram.  *header_ok tells whether type, code and mid of `m` are set, so that a
 * Reset can be sent: true except for OSP_E_VERSION and datagrams shorter than 4 bytes.  If the error is
 * in the options or the payload, the token is set, too.  On an error options and payload are empty.
 *   OSP_E_VERSION        version is not 1: ignore silently [rfc7252#3]
 *   OSP_E_FORMAT         message format error, TKL 15 and code 0.00 with more bytes included
 *   OSP_E_OPTION_COUNT   more than OSP_MSG_OPTS_MAX options
 * Reserved code classes are accepted; the endpoint refuses them.
 */
OSP_CHECKED enum osp_err osp_msg_decode_udp(struct osp_slice datagram, struct osp_msg *m, bool *header_ok);

/*
 * Appends the datagram of `m` to `w`. Options must be in order.
 *   OSP_E_NOSPACE   the datagram does not fit, or the token or an option value is too long to be
 *                   encoded; `w` is latched
 */
OSP_CHECKED enum osp_err osp_msg_encode_udp(const struct osp_msg *m, struct osp_wr *w);

/*
 * Decodes one message from the front of a byte stream; *used is its whole length.
 * `max_size` bounds header + token + options + payload; `max_token` the token.
 *   OSP_E_INCOMPLETE   wait for more bytes
 *   OSP_E_TOO_LARGE    announced length is over `max_size` (known from the header alone)
 *   OSP_E_FORMAT, OSP_E_OPTION_COUNT   Abort the connection [rfc8323#5.6]; also a token over
 *                     `max_token`, and code 0.00 with more bytes
 */
OSP_CHECKED enum osp_err osp_msg_decode_tcp(struct osp_slice stream, size_t max_size, size_t max_token,
                                            struct osp_msg *m, size_t *used);
OSP_CHECKED enum osp_err osp_msg_encode_tcp(const struct osp_msg *m, struct osp_wr *w);

/*
 * Decodes "options [0xff payload]" from `body` into m->opts and m->payload: the tail of every
 * framing, and of an OSCORE plaintext.  OSP_E_FORMAT, OSP_E_OPTION_COUNT: opt_count and payload
 * stay as they were, the values in opts[] do not.
 */
OSP_CHECKED enum osp_err osp_msg_decode_body(struct osp_slice body, struct osp_msg *m);

/* Appends the options, and marker and payload unless the payload is empty.  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_msg_encode_body(const struct osp_msg *m, struct osp_wr *w);

/* Bytes that osp_msg_encode_udp() will write, exactly. */
size_t osp_msg_size_udp(const struct osp_msg *m);

/* Bytes that osp_msg_encode_body() will write, exactly. */
size_t osp_msg_size_body(const struct osp_msg *m);

/* ---- options ---- */

/* Inserts an option after all options with an equal or smaller number; the value stays borrowed.  OSP_E_OPTION_COUNT. */
OSP_CHECKED enum osp_err osp_msg_add(struct osp_msg *m, uint16_t num, struct osp_slice val);

/* First option `num`; NULL when absent. */
const struct osp_opt *osp_msg_get(const struct osp_msg *m, uint16_t num);

/* How many options `num` there are. */
size_t osp_msg_count(const struct osp_msg *m, uint16_t num);

static inline bool
osp_msg_has(const struct osp_msg *m, uint16_t num)
{
    return osp_msg_get(m, num) != NULL;
}

/* Removes all options `num`. */
void osp_msg_remove(struct osp_msg *m, uint16_t num);

/* Removes the option at index `i`. */
void osp_msg_remove_at(struct osp_msg *m, size_t i);

/* Reads a uint option value [rfc7252#3.2]; leading zeroes are accepted.  False: it is longer than 4 bytes. */
bool osp_opt_uint(struct osp_slice val, uint32_t *out);

/* Shortest uint form of `v` in `buf`, which the slice borrows. */
struct osp_slice osp_opt_uint_make(uint32_t v, uint8_t buf[4]);

/*
 * True if the table allows the length of `opt` and, if `again` is set (an option with this number came before it), allows the
 * option to be repeated.  Also true for an option without a row in the table. [rfc7252#5.4.3] [rfc7252#5.4.5]
 */
bool osp_opt_is_acceptable(const struct osp_opt *opt, bool again);

/*
 * Applies 5.4.3 and 5.4.5 of RFC 7252.  A known option whose length is out of range, or that is
 * repeated although it is not repeatable, is treated like an unknown option: an elective one is
 * removed.  Values are not checked, and options without a row in the table stay.  Only the endpoint
 * that acts on a message calls this; a proxy forwards unknown safe options unchanged.
 *   OSP_E_UNKNOWN_OPTION   the first critical one of these options is *which; `m` is unchanged
 * [rfc7252#5.4.3] [rfc7252#5.4.5]
 */
OSP_CHECKED enum osp_err osp_msg_sanitize(struct osp_msg *m, uint16_t *which);

static inline bool osp_code_is_request(uint8_t c) { return c >= 1 && c <= 31; }
static inline bool osp_code_is_response(uint8_t c) { return c >= 64 && c < 192; }

/* Writes "2.05"; static phrase such as "Content" or "GET" in *phrase if not NULL; NULL when it has none. */
void osp_code_print(uint8_t code, char dst[8], const char **phrase);

#endif
