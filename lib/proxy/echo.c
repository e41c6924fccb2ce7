/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Echo for an address, without state [rfc9175#2.3] [rfc9175#A]: the time, and a keyed hash of it and the address.
 * It proves that who sends it has received it there within the last minute, and nothing else.
 */
#include "proxy/impl.h"

#define VALID_S 60u

static uint64_t
proof(const struct osp_proxy *px, const struct osp_addr *peer, uint32_t s)
{
    uint8_t       both[sizeof(*peer) + 4];
    struct osp_wr w = osp_wr_to(both, sizeof(both));

    osp_wr_put(&w, osp_slice(peer, sizeof(*peer)));
    osp_wr_u32(&w, s);
    return osp_hash(&px->cfg.echo_key, osp_wr_slice(&w));
}

void
px_echo_make(const struct px_turn *t, const struct osp_addr *peer, uint8_t out[PX_ECHO_LEN])
{
    uint32_t      s = (uint32_t)(t->now.us / OSP_SEC(1));
    struct osp_wr w = osp_wr_to(out, PX_ECHO_LEN);

    osp_wr_u32(&w, s);
    osp_wr_uint(&w, proof(t->px, peer, s), 8);
}

bool
px_echo_is_ours(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req, bool *fresh)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_ECHO);
    struct osp_rd         r = osp_rd_from(o ? o->val : OSP_EMPTY);
    uint32_t              s = osp_rd_u32(&r), now = (uint32_t)(t->now.us / OSP_SEC(1));
    uint8_t               want[8];
    struct osp_wr         w = osp_wr_to(want, sizeof(want));
    struct osp_slice      got = osp_rd_take(&r, 8);

    osp_wr_uint(&w, proof(t->px, peer, s), 8);
    *fresh = s <= now && now - s <= VALID_S;
    return osp_rd_done(&r) && osp_equal_ct(got, osp_wr_slice(&w));
}

bool
px_echo_is_mine(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req)
{
    bool fresh;

    return px_echo_is_ours(t, peer, req, &fresh) && fresh;
}
