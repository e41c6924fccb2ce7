/* SPDX-License-Identifier: BSD-2-Clause */
#include "msg/stored.h"

bool
osp_stored_keep(struct osp_stored *s, struct osp_pool *pool, const struct osp_msg *m)
{
    struct osp_msg bare;
    size_t         n;
    uint8_t       *p;
    struct osp_wr  w;

    osp_msg_copy(&bare, m);
    bare.token = OSP_EMPTY;
    n = osp_msg_size_udp(&bare);
    p = osp_pool_get(pool, n);
    w = osp_wr_to(p, p ? n : 0);
    if (!p || osp_msg_encode_udp(&bare, &w) != OSP_OK) {
        osp_pool_put(pool, p, n);
        return false;
    }
    osp_stored_release(s, pool);        /* not before: `m` may borrow from it */
    *s = (struct osp_stored){ p, (uint32_t)n };
    return true;
}

bool
osp_stored_get(const struct osp_stored *s, struct osp_msg *out)
{
    bool header_ok;

    return s->p && osp_msg_decode_udp(osp_slice(s->p, s->n), out, &header_ok) == OSP_OK;
}

void
osp_stored_release(struct osp_stored *s, struct osp_pool *pool)
{
    osp_pool_put(pool, s->p, s->n);
    *s = (struct osp_stored){ 0 };
}
