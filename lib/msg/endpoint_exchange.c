/* SPDX-License-Identifier: BSD-2-Clause */
/* The message layer of UDP as a transport of the exchange interface: datagrams go into the queue that it was given. */
#include "msg/endpoint_impl.h"

static struct osp_ep *
ep_of(const struct osp_transport *t)
{
    return OSP_CONTAINER((struct osp_transport *)(uintptr_t)t, struct osp_ep, transport);
}

static enum osp_err
request(struct osp_transport *t, const struct osp_addr *peer, const struct osp_msg *m, const struct osp_request *how,
        struct osp_time now, uint64_t *handle)
{
    struct osp_ep *ep = ep_of(t);

    return osp_ep_request(ep, peer, NULL, m, how, now, ep->tx, handle);
}

static void
cancel(struct osp_transport *t, uint64_t handle)
{
    osp_ep_cancel(ep_of(t), handle);
}

static enum osp_err
respond(struct osp_transport *t, uint64_t handle, const struct osp_msg *resp, struct osp_respond how, struct osp_time now)
{
    struct osp_ep *ep = ep_of(t);

    return osp_ep_respond(ep, handle, resp, how, now, ep->tx);
}

static bool
will_repeat(const struct osp_transport *t, uint64_t handle)
{
    return osp_ep_will_repeat(ep_of(t), handle);
}

static void
dismiss(struct osp_transport *t, uint64_t handle, bool reset, struct osp_time now)
{
    struct osp_ep *ep = ep_of(t);

    osp_ep_dismiss(ep, handle, reset, now, ep->tx);
}

/* All peers of UDP are alike. */
static const struct osp_peer_can *
can(const struct osp_transport *t, const struct osp_addr *peer)
{
    (void)peer;
    return &ep_of(t)->can;
}

static bool
has_room(const struct osp_transport *t, size_t n)
{
    const struct osp_ep *ep = ep_of(t);

    return !osp_txq_is_low(ep->tx, n, ep->cfg.max_datagram);
}

static bool
expire(struct osp_transport *t, struct osp_time now, struct osp_event *ev)
{
    struct osp_ep *ep = ep_of(t);

    return osp_ep_expire(ep, now, ep->tx, ev);
}

static bool
deadline(const struct osp_transport *t, struct osp_time *out)
{
    return osp_ep_deadline(ep_of(t), out);
}

static size_t
longest(const struct osp_transport *t)
{
    return ep_of(t)->cfg.max_datagram;
}

static void
free_ep(struct osp_transport *t)
{
    osp_ep_free(ep_of(t));
}

static const struct osp_transport_ops ops = {
    .request = request,
    .cancel = cancel,
    .respond = respond,
    .will_repeat = will_repeat,
    .dismiss = dismiss,
    .can = can,
    .has_room = has_room,
    .expire = expire,
    .deadline = deadline,
    .longest = longest,
    .free = free_ep,
};

struct osp_transport *
osp_ep_transport(struct osp_ep *ep, struct osp_txq *tx)
{
    ep->transport.ops = &ops;
    ep->tx = tx;
    ep->can = (struct osp_peer_can){ .largest_message = ep->cfg.max_datagram, .longest_token = ep->cfg.max_token,
                                     .copies = ep->cfg.max_retransmit + 1 };
    return &ep->transport;
}
