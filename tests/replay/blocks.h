/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of block-wise transfers share: a proxy with small limits, its client, its origin, blocks of messages. */
#ifndef OSP_TESTS_BLOCKS_H
#define OSP_TESTS_BLOCKS_H

#include "tests/unit/unit.h"

#include <stdlib.h>

#include "msg/block.h"
#include "world.h"

#define BODY 3000

static struct world       w;
static struct osp_crypto *cr;
static uint16_t           next_mid;
static uint8_t            body[BODY];
static const char         secret[] = "000102030405060708090a0b0c0d0e0f";

static inline void
small(struct osp_proxy_cfg *cfg)
{
    w.ep_cfg.max_datagram = 1152;
    w.ep_cfg.max_token = 8;
    cfg->max_body = 4096;
    cfg->max_bodies = 32;
    cfg->max_bodies_per_peer = 4;
}

static inline int
setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < BODY; i++)
        body[i] = (uint8_t)(i * 7 + i / 256);
    world_init_forward(&w);
    w.tune = small;
    EXPECT_OK(osp_crypto_new(&cr));
    return 0;
}

static inline int
teardown(void **state)
{
    struct osp_proxy_stats st;

    (void)state;
    world_run(&w, OSP_SEC(700));
    osp_proxy_stats(w.px, &st);
    assert_true(osp_proxy_idle(w.px));
    assert_int_equal(st.bodies, 0);             /* whatever was begun has expired */
    world_fini(&w);
    osp_crypto_free(cr);
    return 0;
}

static inline struct osp_proxy_stats
stats(void)
{
    struct osp_proxy_stats st;

    osp_proxy_stats(w.px, &st);
    return st;
}

/* ---- messages ---- */

static inline void
add_block(struct osp_msg *m, uint16_t num, uint32_t n, bool more, uint8_t szx)
{
    static uint8_t   values[64][3];
    static size_t    turn;
    struct osp_block b = { n, more, szx };

    turn = (turn + 1) % 64;
    osp_msg_remove(m, num);
    EXPECT_OK(osp_msg_add(m, num, osp_block_make(&b, values[turn])));
}

static inline void
request(struct osp_msg *m, uint8_t code, const char *path)
{
    osp_msg_init(m, code);
    add(m, OSP_OPT_URI_HOST, "s.example");
    if (path)
        add(m, OSP_OPT_URI_PATH, path);
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
}

static inline void
send_from(uint8_t host, uint16_t port, struct osp_msg *m)
{
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    world_send(&w, WORLD_LISTENER, host, port, m);
}

static inline void
send(struct osp_msg *m)
{
    send_from(1, 40000, m);
}

static struct world_out last;           /* where what was taken last is going to */

static inline void
take(struct osp_msg *m)
{
    last = world_next(&w, m);
}

static inline void
nothing_left(void)
{
    struct world_out o;

    assert_false(world_take(&w, &o));
}

/* What went to the origin; */
static inline void
at_origin(struct osp_msg *q)
{
    take(q);
    assert_int_equal(last.to.sock, 0);
}

static inline void
at_client(struct osp_msg *r, uint8_t code)
{
    take(r);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    if (r->type == OSP_CON)             /* a notification */
        world_acknowledge(&w, last.to.peer.ip.b[15], last.to.peer.port, r->mid);
    if (r->code != code)
        fail_msg("answered %u.%02u, want %u.%02u", r->code >> 5, r->code & 31, code >> 5, code & 31);
}

static inline void
origin_says(const struct osp_msg *q, struct osp_msg *r)
{
    r->type = OSP_ACK;
    r->mid = q->mid;
    r->token = q->token;
    world_send(&w, 0, 9, 5683, r);
}

static inline void
expect_block(const struct osp_msg *m, uint16_t num, uint32_t n, bool more, uint8_t szx)
{
    struct osp_block b = { 0 };
    bool             has = false;

    EXPECT_OK(osp_block_get(m, num, &has, &b));
    assert_true(has);
    assert_int_equal(b.num, n);
    assert_int_equal(b.more, more);
    assert_int_equal(b.szx, szx);
}

static inline uint32_t
uint_of(const struct osp_msg *m, uint16_t num)
{
    uint32_t v = 0;

    assert_true(osp_msg_has(m, num));
    assert_true(osp_opt_uint(osp_msg_get(m, num)->val, &v));
    return v;
}

/* The `i`th Request-Tag. */
static inline struct osp_slice
tag(const struct osp_msg *m, size_t i)
{
    for (size_t k = 0; k < m->opt_count; k++)
        if (m->opts[k].num == OSP_OPT_REQUEST_TAG && i-- == 0)
            return m->opts[k].val;
    fail_msg("no such Request-Tag");
    return OSP_EMPTY;
}

static inline size_t
tags(const struct osp_msg *m)
{
    size_t n = 0;

    for (size_t k = 0; k < m->opt_count; k++)
        n += m->opts[k].num == OSP_OPT_REQUEST_TAG;
    return n;
}

static inline struct osp_octx *
other_side(const char *sid, const char *rid)
{
    return world_other_side(secret, sid, rid);
}

/* The client C, and the proxy has the other side of its context. */
static inline struct osp_octx *
client_context(void)
{
    world_context(&w, secret, "", "50", "43", 0);
    return other_side("C", "P");
}

/* `m` under the client's layer; the bytes are in `wr`. */
static inline void
protect(struct osp_octx *c, const struct osp_msg *m, struct osp_wr *wr, struct osp_msg *out, struct osp_layer *l)
{
    world_protect(cr, c, m, wr, out, l);
}

/* Block `n` of the protected request `whole`. */
static inline void
send_part(const struct osp_msg *whole, uint32_t n, uint8_t szx)
{
    struct osp_block b = { n, false, szx };
    struct osp_slice piece;
    struct osp_msg   m;

    osp_msg_copy(&m, whole);
    EXPECT_OK(osp_block_cut(whole->payload, &b, &b, &piece));
    m.payload = piece;
    add_block(&m, OSP_OPT_BLOCK1, n, b.more, szx);
    send(&m);
}

/* The answer under the client's layer, from its outer blocks, all fetched with `ask`; `count` of them came. */
static inline void
fetch(const struct osp_msg *first, const struct osp_msg *ask, struct osp_wr *got, size_t *count)
{
    struct osp_msg   r, m;
    struct osp_block b = { 0 };
    bool             has = false;

    osp_msg_copy(&r, first);
    *count = 0;
    for (;;) {
        struct osp_block next;

        EXPECT_OK(osp_block_get(&r, OSP_OPT_BLOCK2, &has, &b));
        assert_true(has);
        EXPECT_BYTES(osp_msg_get(first, OSP_OPT_ETAG)->val, osp_msg_get(&r, OSP_OPT_ETAG)->val);
        EXPECT_OK(osp_body_add(got, &b, r.payload));
        ++*count;
        if (!b.more)
            return;
        assert_true(osp_block_next(&b, b.szx, &next));
        osp_msg_copy(&m, ask);
        m.payload = OSP_EMPTY;
        osp_msg_remove(&m, OSP_OPT_OBSERVE);
        add_block(&m, OSP_OPT_BLOCK2, next.num, false, next.szx);
        send(&m);
        at_client(&r, first->code);
        assert_false(osp_msg_has(&r, OSP_OPT_OBSERVE));
    }
}

#endif
