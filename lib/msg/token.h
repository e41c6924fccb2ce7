/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The token of a message header: private to lib/msg.
 *
 * The TKL field holds the length up to 12; 13 and 14 announce one or two more bytes; 15 is an
 * error.  [rfc8974#2.1]
 */
#ifndef OSP_MSG_TOKEN_H
#define OSP_MSG_TOKEN_H

#include "base/bytes.h"

/* The TKL field for a token of `n` bytes (n <= OSP_TOKEN_MAX). */
static inline uint8_t
osp_token_tkl(size_t n)
{
    return (uint8_t)(n < 13 ? n : n < 269 ? 13 : 14);
}

/* Bytes that follow the code to complete the length of a token of `n` bytes: 0, 1 or 2. */
static inline size_t
osp_token_ext(size_t n)
{
    return n < 13 ? 0 : n < 269 ? 1 : 2;
}

/* Length of the token behind `tkl`; its extension is read from `r`, which latches TKL 15. */
static inline size_t
osp_token_read_len(struct osp_rd *r, uint8_t tkl)
{
    if (tkl == 13)
        return 13 + (size_t)osp_rd_u8(r);
    if (tkl == 14)
        return 269 + (size_t)osp_rd_u16(r);
    if (tkl == 15)
        osp_rd_fail(r);
    return tkl;
}

static inline void
osp_token_write(struct osp_wr *w, struct osp_slice token)
{
    size_t ext = osp_token_ext(token.n);

    osp_wr_uint(w, ext == 0 ? 0 : token.n - (ext == 1 ? 13 : 269), ext);
    osp_wr_put(w, token);
}

#endif
