/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options and payload: the tail of every framing, and of an OSCORE plaintext.  [rfc7252#3.1]
 *
 * The bytes of one option are libcoap's business; what it leaves to its caller is done here:
 *   - it answers 0 for every error, so 0 never advances
 *   - its delta has 16 bits: 0xe0 ff f3 and above wrap around silently, as does the sum
 *   - 0xff is for the caller to recognise before
 *   - its encoder is given exactly the bytes it needs
 */
#include <assert.h>

#include <coap3/coap.h>

#include "msg/msg.h"

#define PAYLOAD_MARKER 0xff
#define OPT_LEN_MAX (65535u + 269u)

/* Reads one option from `r` into `opt`; `num` is the number of the option before it. */
static bool
decode_option(struct osp_rd *r, uint16_t num, struct osp_opt *opt)
{
    uint8_t       head = osp_rd_peek(r);
    coap_option_t o;
    size_t        n = coap_opt_parse(r->p, osp_rd_left(r), &o);

    if (n == 0)                             /* short, or a nibble of 15 */
        return false;
    if (head >= 0xe0 && o.delta < 269)      /* a delta above 65535 came around */
        return false;
    if (o.delta > UINT16_MAX - num)         /* [rfc7252#3.1] numbers end at 65535 */
        return false;
    osp_rd_take(r, n);
    if (osp_rd_bad(r))
        return false;
    opt->num = (uint16_t)(num + o.delta);
    opt->val = o.length ? osp_slice(o.value, o.length) : OSP_EMPTY;
    return true;
}

enum osp_err
osp_msg_decode_body(struct osp_slice body, struct osp_msg *m)
{
    struct osp_rd    r = osp_rd_from(body);
    struct osp_slice payload = OSP_EMPTY;
    uint16_t         num = 0;
    uint16_t         count = 0;

    while (osp_rd_left(&r) > 0) {
        if (osp_rd_peek(&r) == PAYLOAD_MARKER) {
            osp_rd_u8(&r);
            if (osp_rd_left(&r) == 0)       /* [rfc7252#3] a marker announces at least one byte */
                return OSP_E_FORMAT;
            payload = osp_rd_rest(&r);
            break;
        }
        if (count == OSP_MSG_OPTS_MAX)
            return OSP_E_OPTION_COUNT;
        if (!decode_option(&r, num, &m->opts[count]))
            return OSP_E_FORMAT;
        num = m->opts[count].num;
        count++;
    }
    m->opt_count = count;
    m->payload = payload;
    return OSP_OK;
}

static void
encode_option(struct osp_wr *w, uint16_t delta, struct osp_slice val)
{
    size_t   n = coap_opt_encode_size(delta, val.n);
    uint8_t *at;

    /* a value this long cannot be encoded, so the writer latches as if it did not fit */
    at = osp_wr_reserve(w, val.n > OPT_LEN_MAX ? SIZE_MAX : n);
    if (at && coap_opt_encode(at, n, delta, val.p, val.n) != n)
        w->bad = true;
}

enum osp_err
osp_msg_encode_body(const struct osp_msg *m, struct osp_wr *w)
{
    uint16_t num = 0;

    for (size_t i = 0; i < m->opt_count; i++) {
        assert(m->opts[i].num >= num);
        encode_option(w, (uint16_t)(m->opts[i].num - num), m->opts[i].val);
        num = m->opts[i].num;
    }
    if (m->payload.n > 0) {
        osp_wr_u8(w, PAYLOAD_MARKER);
        osp_wr_put(w, m->payload);
    }
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

/* Bytes behind the first for a delta or a length [rfc7252#3.1]. */
static inline size_t
extended(size_t v)
{
    return v < 13 ? 0 : v < 269 ? 1 : 2;
}

size_t
osp_msg_size_body(const struct osp_msg *m)
{
    size_t   n = m->payload.n ? 1 + m->payload.n : 0;
    uint16_t num = 0;

    for (size_t i = 0; i < m->opt_count; i++) {
        n += 1 + extended((size_t)(m->opts[i].num - num)) + extended(m->opts[i].val.n) + m->opts[i].val.n;
        num = m->opts[i].num;
    }
    return n;
}
