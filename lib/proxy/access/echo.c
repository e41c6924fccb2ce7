/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Echo for an address, without state [rfc9175#2.3] [rfc9175#A]: the time, and a keyed hash of it and the address.
 * It proves that who sends it has received it there within the last minute, and nothing else.
 *
 *   long   4 bytes of time, 8 of hash
 *   short  1 byte of time, 5 of hash; for answers to requests of a few bytes.  One that is older than four minutes is not
 *          recognised any more.
 */
#include "proxy/access/access.h"

#define VALID_S 60u

#define LONG_TIME 4u            /* bytes of the time */
#define SHORT_TIME 1u

/* The Echo of `len` bytes for second `s`. */
static struct osp_slice
make(const struct osp_proxy *px, const struct osp_addr *peer, uint32_t s, size_t len, uint8_t out[PX_ECHO_LEN])
{
    uint8_t       all[sizeof(*peer) + 5];
    struct osp_wr hashed = osp_wr_to(all, sizeof(all)), w = osp_wr_to(out, PX_ECHO_LEN);
    size_t        time = len == PX_ECHO_LEN ? LONG_TIME : SHORT_TIME;
    uint64_t      h;

    osp_wr_put(&hashed, osp_slice(peer, sizeof(*peer)));
    osp_wr_u32(&hashed, s);
    osp_wr_u8(&hashed, (uint8_t)len);
    h = osp_hash(&px->cfg.echo_key, osp_wr_slice(&hashed));
    osp_wr_uint(&w, s, time);
    osp_wr_uint(&w, h, 8);
    return osp_slice_head(osp_wr_slice(&w), len);
}

void
px_echo_make(const struct px_turn *t, const struct osp_addr *peer, size_t len, uint8_t out[PX_ECHO_LEN])
{
    (void)make(t->px, peer, (uint32_t)(t->now.us / OSP_SEC(1)), len, out);
}

bool
px_echo_is_ours(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req, bool *fresh)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_ECHO);
    struct osp_slice      got = o ? o->val : OSP_EMPTY;
    struct osp_rd         r = osp_rd_from(got);
    uint32_t              s, now = (uint32_t)(t->now.us / OSP_SEC(1));
    uint8_t               want[PX_ECHO_LEN];

    *fresh = false;
    if (got.n == PX_ECHO_LEN)
        s = osp_rd_u32(&r);
    else if (got.n == PX_ECHO_SHORT)
        s = now - ((now - osp_rd_u8(&r)) & UINT8_MAX);  /* the latest second that ends in this byte */
    else
        return false;
    *fresh = s <= now && now - s <= VALID_S;
    return osp_equal_ct(got, make(t->px, peer, s, got.n, want));
}

bool
px_echo_is_mine(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req)
{
    bool fresh;

    return px_echo_is_ours(t, peer, req, &fresh) && fresh;
}
