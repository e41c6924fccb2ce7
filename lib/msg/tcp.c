/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Framing over a byte stream.  [rfc8323#3.2]
 *
 *     Len | TKL   extended Len (0, 1, 2, 4)   Code   extended TKL   Token   Options [0xff Payload]
 *
 * Len counts options, marker and payload only.  The announced length is checked as soon as it can
 * be read, so that nobody waits or makes room for bytes that will be refused.
 */
#include "msg/msg.h"
#include "msg/token.h"

struct frame {
    uint64_t body;              /* options, marker and payload; below 2^32 + 65805 */
    size_t   token;
    uint8_t  code;
};

/* The value behind a Len nibble. */
static uint64_t
read_len(struct osp_rd *r, unsigned nibble)
{
    if (nibble == 13)
        return 13 + osp_rd_uint(r, 1);
    if (nibble == 14)
        return 269 + osp_rd_uint(r, 2);
    if (nibble == 15)
        return 65805 + osp_rd_uint(r, 4);
    return nibble;
}

/* Reads up to the token; `r` is latched when bytes are missing. */
static enum osp_err
read_header(struct osp_rd *r, size_t whole, size_t max_size, size_t max_token, struct frame *f)
{
    uint8_t first = osp_rd_u8(r);
    uint8_t tkl = first & 15;

    if (osp_rd_bad(r))
        return OSP_E_INCOMPLETE;
    if (tkl == 15)                          /* [rfc8974#2.1] always an error */
        return OSP_E_FORMAT;
    f->body = read_len(r, first >> 4);
    if (osp_rd_bad(r))
        return OSP_E_INCOMPLETE;
    if (whole - osp_rd_left(r) + 1 + f->body > max_size)    /* +1: the code */
        return OSP_E_TOO_LARGE;
    f->code = osp_rd_u8(r);
    f->token = osp_token_read_len(r, tkl);
    if (osp_rd_bad(r))
        return OSP_E_INCOMPLETE;
    if (f->token > max_token)               /* [rfc8974#2.2.1] longer than we announced */
        return OSP_E_FORMAT;
    if (whole - osp_rd_left(r) + f->token + f->body > max_size)
        return OSP_E_TOO_LARGE;
    if (f->code == OSP_EMPTY_CODE && f->token + f->body > 0)
        return OSP_E_FORMAT;
    return OSP_OK;
}

enum osp_err
osp_msg_decode_tcp(struct osp_slice stream, size_t max_size, size_t max_token, struct osp_msg *m, size_t *used)
{
    struct osp_rd r = osp_rd_from(stream);
    struct frame  f = { 0 };
    enum osp_err  err = read_header(&r, stream.n, max_size, max_token, &f);

    if (err)
        return err;
    if (osp_rd_left(&r) < f.token + f.body)
        return OSP_E_INCOMPLETE;
    osp_msg_init(m, f.code);
    m->token = osp_rd_take(&r, f.token);
    err = osp_msg_decode_body(osp_rd_take(&r, (size_t)f.body), m);
    if (err)
        return err;
    *used = stream.n - osp_rd_left(&r);
    return OSP_OK;
}

enum osp_err
osp_msg_encode_tcp(const struct osp_msg *m, struct osp_wr *w)
{
    size_t   body = osp_msg_size_body(m);
    unsigned nibble = body < 13 ? (unsigned)body : body < 269 ? 13 : body < 65805 ? 14 : 15;

    if (m->token.n > OSP_TOKEN_MAX || body > UINT32_MAX) {
        w->bad = true;
        return OSP_E_NOSPACE;
    }
    osp_wr_u8(w, (uint8_t)(nibble << 4 | osp_token_tkl(m->token.n)));
    if (nibble == 13)
        osp_wr_uint(w, body - 13, 1);
    else if (nibble == 14)
        osp_wr_uint(w, body - 269, 2);
    else if (nibble == 15)
        osp_wr_uint(w, body - 65805, 4);
    osp_wr_u8(w, m->code);
    osp_token_write(w, m->token);
    return osp_msg_encode_body(m, w);
}
