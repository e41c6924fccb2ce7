/* SPDX-License-Identifier: BSD-2-Clause */
/* A proxy with the transport of UDP: what the tests of a whole proxy begin with. */
#ifndef OSP_TESTS_UDP_PROXY_H
#define OSP_TESTS_UDP_PROXY_H

#include "msg/endpoint.h"
#include "proxy/proxy.h"

/* Makes both; what they send goes into `tx`.  The endpoint belongs to the proxy, and is freed with it. */
OSP_CHECKED static inline enum osp_err
udp_proxy_new(const struct osp_proxy_cfg *cfg, const struct osp_ep_cfg *udp, struct osp_rand rand, struct osp_time now,
              struct osp_txq *tx, struct osp_proxy **px, struct osp_ep **ep)
{
    struct osp_ep_cfg with = *udp;
    enum osp_err      e = osp_proxy_new(cfg, rand, now, px);

    if (e != OSP_OK)
        return e;
    with.ledger = osp_proxy_ledger(*px);
    e = osp_ep_new(&with, rand, osp_proxy_pool(*px), now, ep);
    return e == OSP_OK ? osp_proxy_add_transport(*px, OSP_TRANSPORT_UDP, osp_ep_transport(*ep, tx)) : e;
}

/* One datagram comes in. */
static inline void
udp_proxy_input(struct osp_proxy *px, struct osp_ep *ep, const struct osp_flow *from, struct osp_slice datagram,
                struct osp_time now, struct osp_txq *tx)
{
    struct osp_event ev;

    osp_ep_input(ep, from, datagram, now, tx, &ev);
    osp_proxy_event(px, &ev, now);
}

#endif
