/* SPDX-License-Identifier: BSD-2-Clause */
/* One endpoint of the message layer in virtual time: datagrams in, datagrams and events out. */
#ifndef OSP_TESTS_ENDPOINT_FIX_H
#define OSP_TESTS_ENDPOINT_FIX_H

#include "tests/unit/unit.h"

#include <stdlib.h>

#include "msg/endpoint.h"
#include "tests/prng.h"

#define OUT_MAX 128

struct sent { struct osp_flow to; uint8_t bytes[1500]; size_t n; };

struct fix {
    struct osp_ep      *ep;
    struct osp_pool     pool;
    struct osp_txq      tx;
    struct osp_time     now;
    struct osp_event ev;
    struct osp_ep_cfg   cfg;
    uint64_t            rng;
    struct sent         out[OUT_MAX];
    size_t              count;
    size_t              memory, datagrams;      /* bytes of the pool; what goes out in one call */
    struct osp_flow     client, upstream;
};

/* A new endpoint of f->cfg, f->memory and f->datagrams. */
static inline void
start(struct fix *f)
{
    osp_pool_init(&f->pool, f->memory);
    EXPECT_OK(osp_txq_init(&f->tx, f->datagrams, f->datagrams * 4096));
    EXPECT_OK(osp_ep_new(&f->cfg, (struct osp_rand){ prng_fill, &f->rng }, &f->pool, f->now, &f->ep));
}

/* The end of the endpoint: everything went back into the pool. */
static inline void
stop(struct fix *f)
{
    osp_ep_free(f->ep);
    assert_int_equal(f->pool.used, 0);
    osp_pool_fini(&f->pool);
    osp_txq_fini(&f->tx);
}

/* For every test: an endpoint with room for 1024 messages and requests, a client and an upstream. */
static inline int
setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    f->now.us = OSP_SEC(1000);
    f->memory = (size_t)64 << 20;
    f->datagrams = 64;
    osp_ep_cfg_default(&f->cfg);
    f->cfg.max_messages = 1024;
    f->cfg.max_requests = 1024;
    f->client.peer.ip = osp_ip_v4(192, 0, 2, 1);
    f->client.peer.port = 40000;
    f->client.sock = 1;
    f->upstream.peer.ip = osp_ip_v4(192, 0, 2, 9);
    f->upstream.peer.port = 5683;
    start(f);
    *state = f;
    return 0;
}

static inline int
teardown(void **state)
{
    stop(*state);
    free(*state);
    return 0;
}

/* A new endpoint in place of the old one. */
static inline void
restart(struct fix *f)
{
    stop(f);
    start(f);
}

/* Keeps what went out. */
static inline void
collect(struct fix *f)
{
    for (size_t i = 0; i < f->tx.count; i++) {
        assert_true(f->count < OUT_MAX);
        f->out[f->count].to = f->tx.items[i].to;
        f->out[f->count].n = f->tx.items[i].bytes.n;
        assert_true(osp_slice_copy(f->tx.items[i].bytes, f->out[f->count++].bytes, 1500));
    }
    osp_txq_reset(&f->tx);
}

/* A datagram comes in; what came up for it. */
static inline enum osp_ev_kind
in(struct fix *f, const struct osp_flow *from, struct osp_slice d)
{
    osp_ep_input(f->ep, from, d, f->now, &f->tx, &f->ev);
    collect(f);
    return f->ev.kind;
}

/* The oldest datagram that went out, decoded; the test ends without one. */
static inline struct sent
take(struct fix *f, struct osp_msg *m)
{
    struct sent s;
    bool        header;

    assert_true(f->count > 0);
    s = f->out[0];
    memmove(&f->out[0], &f->out[1], --f->count * sizeof(f->out[0]));
    if (m) {
        static uint8_t keep[1500];
        memcpy(keep, s.bytes, s.n);
        EXPECT_OK(osp_msg_decode_udp(osp_slice(keep, s.n), m, &header));
    }
    return s;
}

/* Nothing else went out. */
static inline void
nothing_sent(struct fix *f)
{
    assert_int_equal(f->count, 0);
}

/* Moves the clock to `us` from now, stopping at the first event. */
static inline enum osp_ev_kind
pass(struct fix *f, uint64_t us)
{
    struct osp_time end = osp_time_after(f->now, us), due;

    for (;;) {
        while (osp_ep_expire(f->ep, f->now, &f->tx, &f->ev)) {
            collect(f);
            if (f->ev.kind != OSP_EV_NONE)
                return f->ev.kind;
        }
        collect(f);
        if (!osp_ep_deadline(f->ep, &due) || due.us > end.us)
            break;
        f->now.us = due.us > f->now.us ? due.us : f->now.us + 1000;
    }
    f->now = end;
    return OSP_EV_NONE;
}

/* A message without options. */
static inline struct osp_slice
datagram(uint8_t *buf, uint8_t type, uint8_t code, uint16_t mid, const char *token, const char *payload)
{
    struct osp_msg m;
    struct osp_wr  w = osp_wr_to(buf, 1500);

    osp_msg_init(&m, code);
    m.type = type;
    m.mid = mid;
    m.token = osp_slice_str(token);
    m.payload = osp_slice_str(payload);
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    return osp_wr_slice(&w);
}

/* A 2.05 to the request of `handle`. */
static inline void
respond(struct fix *f, uint64_t handle, const char *payload, struct osp_respond how)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice_str(payload);
    EXPECT_OK(osp_ep_respond(f->ep, handle, &m, how, f->now, &f->tx));
    collect(f);
}

#endif
