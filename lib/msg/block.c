/* SPDX-License-Identifier: BSD-2-Clause */
#include "msg/block.h"

#define M_BIT 8u
#define SZX_MASK 7u

enum osp_err
osp_block_parse(struct osp_slice value, struct osp_block *out)
{
    struct osp_rd r = osp_rd_from(value);
    uint32_t      v;

    if (value.n > 3)
        return OSP_E_UNKNOWN_OPTION;
    v = (uint32_t)osp_rd_uint(&r, value.n);
    if ((v & SZX_MASK) > OSP_BLOCK_SZX_MAX)     /* [rfc7959#2.2] reserved */
        return OSP_E_BAD_REQUEST;
    *out = (struct osp_block){ v >> 4, v & M_BIT, v & SZX_MASK };
    return OSP_OK;
}

struct osp_slice
osp_block_make(const struct osp_block *b, uint8_t out[3])
{
    uint32_t      v = b->num << 4 | (b->more ? M_BIT : 0) | b->szx;
    struct osp_wr w = osp_wr_to(out, 3);
    size_t        n = 0;

    while (n < 3 && v >> 8 * n != 0)
        n++;
    osp_wr_uint(&w, v, n);
    return n ? osp_wr_slice(&w) : OSP_EMPTY;
}

enum osp_err
osp_block_get(const struct osp_msg *m, uint16_t num, bool *has, struct osp_block *out)
{
    const struct osp_opt *o = osp_msg_get(m, num);
    enum osp_err          e;

    if (!o) {
        *has = false;
        return OSP_OK;
    }
    if (osp_msg_count(m, num) > 1)
        return OSP_E_UNKNOWN_OPTION;
    e = osp_block_parse(o->val, out);
    if (e == OSP_OK)
        *has = true;
    return e;
}

uint8_t
osp_block_szx_for(size_t n)
{
    uint8_t szx = OSP_BLOCK_SZX_MAX;

    while (szx > 0 && osp_block_size(szx) > n)
        szx--;
    return szx;
}

bool
osp_block_next(const struct osp_block *b, uint8_t szx, struct osp_block *out)
{
    size_t num = (osp_block_offset(b) + osp_block_size(b->szx)) / osp_block_size(szx);

    if (szx > b->szx || num > OSP_BLOCK_NUM_MAX)
        return false;
    *out = (struct osp_block){ (uint32_t)num, false, szx };
    return true;
}

enum osp_err
osp_block_cut(struct osp_slice body, const struct osp_block *asked, struct osp_block *cut, struct osp_slice *piece)
{
    size_t           at = osp_block_offset(asked), n = osp_block_size(asked->szx);
    struct osp_slice rest = osp_slice_tail(body, at);

    if (at > 0 && at >= body.n)
        return OSP_E_BAD_REQUEST;
    *cut = (struct osp_block){ asked->num, rest.n > n, asked->szx };
    *piece = osp_slice_head(rest, n);
    return OSP_OK;
}

enum osp_err
osp_body_add(struct osp_wr *body, const struct osp_block *b, struct osp_slice payload)
{
    size_t at = osp_block_offset(b), n = osp_block_size(b->szx);

    if (payload.n > n || (b->more && payload.n != n))
        return OSP_E_BAD_REQUEST;
    if (at < body->n) {         /* all of it came before, or it contradicts what came */
        struct osp_slice had = osp_slice_head(osp_slice_tail(osp_wr_slice(body), at), payload.n);
        return osp_slice_eq(had, payload) ? OSP_OK : OSP_E_BODY_GAP;
    }
    if (at > body->n)
        return OSP_E_BODY_GAP;
    if (payload.n > body->cap - body->n)
        return OSP_E_NOSPACE;
    osp_wr_put(body, payload);
    return OSP_OK;
}
