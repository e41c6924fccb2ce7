/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The message layer under a script of hostile datagrams, answers, requests of ours and time.  Whatever comes,
 * once the time for everything has passed nothing may be pending, and the pool must be empty at the end.
 * Reaches osp_ep_input, osp_ep_expire, osp_ep_respond, osp_ep_dismiss, osp_ep_request, osp_ep_cancel.
 */
#include <assert.h>
#include <stdlib.h>

#include "msg/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    uint64_t *s = ctx;

    for (size_t i = 0; i < n; i++) {
        *s = *s * 6364136223846793005u + 1442695040888963407u;
        dst[i] = (uint8_t)(*s >> 56);
    }
}

struct run {
    struct osp_ep      *ep;
    struct osp_txq      tx;
    struct osp_time     now;
    struct osp_ep_event ev;
    uint64_t            handles[8];
    uint64_t            requests[8];
    size_t              events, failed;
};

static void
note(struct run *r)
{
    if (r->ev.kind == OSP_EV_REQUEST)
        r->handles[r->ev.handle % 8] = r->ev.handle;
    if (r->ev.kind == OSP_EV_RESPONSE || r->ev.kind == OSP_EV_FAILED)
        r->events++;
    osp_txq_reset(&r->tx);
}

static void
pass(struct run *r, uint64_t us)
{
    struct osp_time end = osp_time_after(r->now, us), due;

    while (osp_ep_deadline(r->ep, &due) && due.us <= end.us) {
        r->now.us = due.us > r->now.us ? due.us : r->now.us + 1000;
        while (osp_ep_expire(r->ep, r->now, &r->tx, &r->ev))
            note(r);
    }
    r->now = end;
}

static void
step(struct run *r, struct osp_rd *in)
{
    uint8_t            op = osp_rd_u8(in);
    struct osp_flow    from = { .sock = op >> 7 };
    struct osp_msg     m;
    struct osp_slice   body;
    struct osp_respond how = { op & 8, op & 16 };
    enum osp_err       e = OSP_OK;
    struct osp_request req = { .type = op >> 4 & 1, .keep = op & 8, .deadline = osp_time_after(r->now, OSP_SEC(100)) };

    from.peer.ip = osp_ip_v4(192, 0, 2, op >> 5 & 3);
    from.peer.port = 1000;
    osp_msg_init(&m, OSP_CODE(2, 5));
    switch (op & 7) {
    case 0:
    case 1:
    case 2:
        body = osp_rd_take(in, osp_rd_u8(in) % 64);
        osp_ep_input(r->ep, &from, body, r->now, &r->tx, &r->ev);
        note(r);
        break;
    case 3:
        e = osp_ep_respond(r->ep, r->handles[op >> 5], &m, how, r->now, &r->tx);
        break;
    case 4:
        osp_ep_dismiss(r->ep, r->handles[op >> 5], op & 8, r->now, &r->tx);
        break;
    case 5:
        m.code = OSP_GET;
        e = osp_ep_request(r->ep, &from.peer, NULL, &m, &req, r->now, &r->tx, &r->requests[op >> 5]);
        break;
    case 6:
        osp_ep_cancel(r->ep, r->requests[op >> 5]);
        break;
    default:
        pass(r, OSP_MS(1) << (op >> 3 & 15));
        break;
    }
    r->failed += e != OSP_OK;
    osp_txq_reset(&r->tx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osp_rd     in = osp_rd_from(osp_slice(data, size));
    struct osp_pool   pool;
    struct osp_ep_cfg cfg;
    struct run        r = { .now = { 1000000 } };
    uint64_t          seed = 1;

    osp_ep_cfg_default(&cfg);
    cfg.max_messages = 32;
    cfg.max_requests = 8;
    cfg.max_peers = 3;
    cfg.nstart = 2;
    cfg.max_queued = 4;
    cfg.max_datagram = 256;
    osp_pool_init(&pool, (size_t)16 << 20);
    if (osp_txq_init(&r.tx, 64, 64 * 256) != OSP_OK ||
        osp_ep_new(&cfg, (struct osp_rand){ fill, &seed }, &pool, r.now, &r.ep) != OSP_OK)
        abort();
    while (osp_rd_left(&in) > 0)
        step(&r, &in);
    for (size_t i = 0; i < 8; i++)
        osp_ep_cancel(r.ep, r.requests[i]);
    pass(&r, OSP_SEC(400));
    assert(osp_ep_stats(r.ep)->requests <= 8);
    osp_ep_free(r.ep);
    assert(pool.used == 0);
    osp_pool_fini(&pool);
    osp_txq_fini(&r.tx);
    return 0;
}
