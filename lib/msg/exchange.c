/* SPDX-License-Identifier: BSD-2-Clause */
/* Which transport a call belongs to. */
#include "msg/exchange.h"

static struct osp_transport *
of_peer(const struct osp_transports *ts, const struct osp_addr *peer)
{
    return peer->transport < OSP_TRANSPORTS ? ts->by[peer->transport] : NULL;
}

static struct osp_transport *
of_handle(const struct osp_transports *ts, uint64_t handle)
{
    uint64_t id = handle >> OSP_HANDLE_SHIFT;

    return handle && id < OSP_TRANSPORTS ? ts->by[id] : NULL;
}

enum osp_err
osp_exchange_request(struct osp_transports *ts, const struct osp_addr *peer, const struct osp_msg *m,
                     const struct osp_request *how, struct osp_time now, uint64_t *handle)
{
    struct osp_transport *t = of_peer(ts, peer);

    return t ? t->ops->request(t, peer, m, how, now, handle) : OSP_E_UNREACHABLE;
}

void
osp_exchange_cancel(struct osp_transports *ts, uint64_t handle)
{
    struct osp_transport *t = of_handle(ts, handle);

    if (t)
        t->ops->cancel(t, handle);
}

enum osp_err
osp_exchange_respond(struct osp_transports *ts, uint64_t handle, const struct osp_msg *resp, struct osp_respond how,
                     struct osp_time now)
{
    struct osp_transport *t = of_handle(ts, handle);

    return t ? t->ops->respond(t, handle, resp, how, now) : OSP_E_INVALID;
}

bool
osp_exchange_will_repeat(const struct osp_transports *ts, uint64_t handle)
{
    const struct osp_transport *t = of_handle(ts, handle);

    return t && t->ops->will_repeat(t, handle);
}

void
osp_exchange_dismiss(struct osp_transports *ts, uint64_t handle, bool reset, struct osp_time now)
{
    struct osp_transport *t = of_handle(ts, handle);

    if (t)
        t->ops->dismiss(t, handle, reset, now);
}

const struct osp_peer_can *
osp_exchange_can(const struct osp_transports *ts, const struct osp_addr *peer)
{
    static const struct osp_peer_can nothing = { .copies = 1 };
    const struct osp_transport      *t = of_peer(ts, peer);

    return t ? t->ops->can(t, peer) : &nothing;
}

bool
osp_exchange_has_room(const struct osp_transports *ts, size_t n)
{
    for (size_t i = 0; i < OSP_TRANSPORTS; i++)
        if (ts->by[i] && !ts->by[i]->ops->has_room(ts->by[i], n))
            return false;
    return true;
}

bool
osp_exchange_expire(struct osp_transports *ts, struct osp_time now, struct osp_event *ev)
{
    for (size_t i = 0; i < OSP_TRANSPORTS; i++)
        if (ts->by[i] && ts->by[i]->ops->expire(ts->by[i], now, ev))
            return true;
    ev->kind = OSP_EV_NONE;
    return false;
}

bool
osp_exchange_deadline(const struct osp_transports *ts, struct osp_time *out)
{
    struct osp_time due;
    bool            has = false;

    for (size_t i = 0; i < OSP_TRANSPORTS; i++) {
        if (ts->by[i] && ts->by[i]->ops->deadline(ts->by[i], &due) && (!has || due.us < out->us)) {
            *out = due;
            has = true;
        }
    }
    return has;
}

void
osp_exchange_free(struct osp_transports *ts)
{
    for (size_t i = 0; i < OSP_TRANSPORTS; i++) {
        if (ts->by[i])
            ts->by[i]->ops->free(ts->by[i]);
        ts->by[i] = NULL;
    }
}
