/* SPDX-License-Identifier: BSD-2-Clause */
#include "msg/msg.h"

#include <assert.h>

#include <coap3/coap.h>

#include "msg/token.h"

#define VERSION 1
#define HEADER 4

void
osp_msg_init(struct osp_msg *m, uint8_t code)
{
    m->type = OSP_CON;
    m->code = code;
    m->mid = 0;
    m->opt_count = 0;
    m->token = OSP_EMPTY;
    m->payload = OSP_EMPTY;
}

void
osp_msg_copy(struct osp_msg *dst, const struct osp_msg *src)
{
    dst->type = src->type;
    dst->code = src->code;
    dst->mid = src->mid;
    dst->opt_count = src->opt_count;
    dst->token = src->token;
    dst->payload = src->payload;
    if (dst != src)
        memcpy(dst->opts, src->opts, src->opt_count * sizeof(src->opts[0]));
}

/* ---- UDP ---- */

enum osp_err
osp_msg_decode_udp(struct osp_slice datagram, struct osp_msg *m, bool *header_ok)
{
    struct osp_rd    r = osp_rd_from(datagram);
    uint8_t          first = osp_rd_u8(&r);
    uint8_t          code = osp_rd_u8(&r);
    uint16_t         mid = osp_rd_u16(&r);
    struct osp_slice token;

    *header_ok = false;
    if (osp_rd_bad(&r))
        return OSP_E_FORMAT;
    if (first >> 6 != VERSION)              /* [rfc7252#3] silently ignored */
        return OSP_E_VERSION;
    osp_msg_init(m, code);
    m->type = first >> 4 & 3;
    m->mid = mid;
    *header_ok = true;

    token = osp_rd_take(&r, osp_token_read_len(&r, first & 15));
    if (osp_rd_bad(&r))                     /* [rfc8974#2.1] TKL 15, or a token cut short */
        return OSP_E_FORMAT;
    if (code == OSP_EMPTY_CODE && datagram.n != HEADER)    /* [rfc7252#4.1] */
        return OSP_E_FORMAT;
    m->token = token;
    return osp_msg_decode_body(osp_rd_rest(&r), m);
}

enum osp_err
osp_msg_encode_udp(const struct osp_msg *m, struct osp_wr *w)
{
    if (m->token.n > OSP_TOKEN_MAX) {
        w->bad = true;
        return OSP_E_NOSPACE;
    }
    osp_wr_u8(w, (uint8_t)(VERSION << 6 | (m->type & 3) << 4 | osp_token_tkl(m->token.n)));
    osp_wr_u8(w, m->code);
    osp_wr_u16(w, m->mid);
    osp_token_write(w, m->token);
    return osp_msg_encode_body(m, w);
}

size_t
osp_msg_size_udp(const struct osp_msg *m)
{
    return HEADER + osp_token_ext(m->token.n) + m->token.n + osp_msg_size_body(m);
}

/* ---- options ---- */

enum osp_err
osp_msg_add(struct osp_msg *m, uint16_t num, struct osp_slice val)
{
    size_t at = m->opt_count;

    if (m->opt_count == OSP_MSG_OPTS_MAX)
        return OSP_E_OPTION_COUNT;
    for (; at > 0 && m->opts[at - 1].num > num; at--)
        m->opts[at] = m->opts[at - 1];
    m->opts[at].num = num;
    m->opts[at].val = val;
    m->opt_count++;
    return OSP_OK;
}

const struct osp_opt *
osp_msg_get(const struct osp_msg *m, uint16_t num)
{
    for (size_t i = 0; i < m->opt_count && m->opts[i].num <= num; i++)
        if (m->opts[i].num == num)
            return &m->opts[i];
    return NULL;
}

size_t
osp_msg_count(const struct osp_msg *m, uint16_t num)
{
    size_t n = 0;

    for (size_t i = 0; i < m->opt_count && m->opts[i].num <= num; i++)
        n += m->opts[i].num == num;
    return n;
}

void
osp_msg_remove(struct osp_msg *m, uint16_t num)
{
    uint16_t kept = 0;

    for (size_t i = 0; i < m->opt_count; i++) {
        if (m->opts[i].num == num)
            continue;
        if (kept != i)
            m->opts[kept] = m->opts[i];
        kept++;
    }
    m->opt_count = kept;
}

void
osp_msg_remove_at(struct osp_msg *m, size_t i)
{
    assert(i < m->opt_count);
    m->opt_count--;
    for (; i < m->opt_count; i++)
        m->opts[i] = m->opts[i + 1];
}

/* ---- codes ---- */

/* Names that are no response phrases: methods [rfc7252#12.1.1] and signals [rfc8323#11.1]. */
static const char *
name_of_code(uint8_t code)
{
    static const char *const methods[] = { "Empty", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH" };
    static const char *const signals[] = { "CSM", "Ping", "Pong", "Release", "Abort" };
    const uint8_t            first_signal = OSP_CODE(7, 1);

    if (code < sizeof(methods) / sizeof(methods[0]))
        return methods[code];
    if (code >= first_signal && code < first_signal + sizeof(signals) / sizeof(signals[0]))
        return signals[code - first_signal];
    return coap_response_phrase(code);
}

void
osp_code_print(uint8_t code, char dst[8], const char **phrase)
{
    unsigned detail = OSP_CODE_DETAIL(code);

    dst[0] = (char)('0' + OSP_CODE_CLASS(code));
    dst[1] = '.';
    dst[2] = (char)('0' + detail / 10);
    dst[3] = (char)('0' + detail % 10);
    dst[4] = '\0';
    if (phrase)
        *phrase = name_of_code(code);
}
