/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise transfers at the proxy, in virtual time: what passes by, what is put together, what is cut. */
#include "../unit/unit.h"

#include <stdlib.h>

#include "msg/block.h"
#include "world.h"

#define BODY 3000

static struct world       w;
static struct osp_crypto *cr;
static uint16_t           next_mid;
static uint8_t            body[BODY];
static const char         secret[] = "000102030405060708090a0b0c0d0e0f";

static void
small(struct osp_proxy_cfg *cfg)
{
    cfg->ep.max_datagram = 1152;
    cfg->ep.max_token = 8;
    cfg->max_body = 4096;
    cfg->max_bodies = 32;
    cfg->max_bodies_per_peer = 4;
}

static int
setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < BODY; i++)
        body[i] = (uint8_t)(i * 7 + i / 256);
    world_init(&w);
    w.tune = small;
    w.policy.forward = true;
    world_allow_all(&w);
    w.hosts[0] = (struct osp_host){ "s.example", osp_ip_v4(192, 0, 2, 9) };
    w.policy.host_count = 1;
    EXPECT_OK(osp_crypto_new(&cr));
    return 0;
}

static int
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

static struct osp_proxy_stats
stats(void)
{
    struct osp_proxy_stats st;

    osp_proxy_stats(w.px, &st);
    return st;
}

/* ---- messages ---- */

static void
add(struct osp_msg *m, uint16_t num, const char *value)
{
    EXPECT_OK(osp_msg_add(m, num, osp_slice_str(value)));
}

static void
add_block(struct osp_msg *m, uint16_t num, uint32_t n, bool more, uint8_t szx)
{
    static uint8_t   values[64][3];
    static size_t    turn;
    struct osp_block b = { n, more, szx };

    turn = (turn + 1) % 64;
    osp_msg_remove(m, num);
    EXPECT_OK(osp_msg_add(m, num, osp_block_make(&b, values[turn])));
}

static void
request(struct osp_msg *m, uint8_t code, const char *path)
{
    osp_msg_init(m, code);
    add(m, OSP_OPT_URI_HOST, "s.example");
    if (path)
        add(m, OSP_OPT_URI_PATH, path);
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
}

static void
send_from(uint8_t host, uint16_t port, struct osp_msg *m)
{
    uint8_t       buf[4096];
    struct osp_wr d = osp_wr_to(buf, sizeof(buf));

    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_encode_udp(m, &d));
    world_in(&w, WORLD_LISTENER, host, port, osp_wr_slice(&d));
}

static void
send(struct osp_msg *m)
{
    send_from(1, 40000, m);
}

static struct world_out last;           /* where what was taken last is going to */

static void
take(struct osp_msg *m)
{
    static uint8_t keep[16][2048];
    static int     turn;
    bool           header;

    if (!world_take(&w, &last))
        fail_msg("nothing left the proxy");
    turn = (turn + 1) % 16;
    memcpy(keep[turn], last.bytes, last.n);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(keep[turn], last.n), m, &header));
}

static void
nothing_left(void)
{
    struct world_out o;

    assert_false(world_take(&w, &o));
}

/* What went to the origin; */
static void
at_origin(struct osp_msg *q)
{
    take(q);
    assert_int_equal(last.to.sock, 0);
}

static void
at_client(struct osp_msg *r, uint8_t code)
{
    take(r);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    if (r->type == OSP_CON) {           /* a notification */
        uint8_t d[4] = { 0x60, 0, (uint8_t)(r->mid >> 8), (uint8_t)r->mid };

        world_in(&w, WORLD_LISTENER, last.to.peer.ip.b[15], last.to.peer.port, osp_slice(d, 4));
    }
    if (r->code != code)
        fail_msg("answered %u.%02u, want %u.%02u", r->code >> 5, r->code & 31, code >> 5, code & 31);
}

static void
origin_says(const struct osp_msg *q, struct osp_msg *r)
{
    uint8_t       buf[4096];
    struct osp_wr d = osp_wr_to(buf, sizeof(buf));

    r->type = OSP_ACK;
    r->mid = q->mid;
    r->token = q->token;
    EXPECT_OK(osp_msg_encode_udp(r, &d));
    world_in(&w, 0, 9, 5683, osp_wr_slice(&d));
}

static void
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

static uint32_t
uint_of(const struct osp_msg *m, uint16_t num)
{
    uint32_t v = 0;

    assert_true(osp_msg_has(m, num));
    assert_true(osp_opt_uint(osp_msg_get(m, num)->val, &v));
    return v;
}

/* The `i`th Request-Tag. */
static struct osp_slice
tag(const struct osp_msg *m, size_t i)
{
    for (size_t k = 0; k < m->opt_count; k++)
        if (m->opts[k].num == OSP_OPT_REQUEST_TAG && i-- == 0)
            return m->opts[k].val;
    fail_msg("no such Request-Tag");
    return OSP_EMPTY;
}

static size_t
tags(const struct osp_msg *m)
{
    size_t n = 0;

    for (size_t k = 0; k < m->opt_count; k++)
        n += m->opts[k].num == OSP_OPT_REQUEST_TAG;
    return n;
}

/* ---- what only passes by ---- */

static void
send_upload(uint8_t host, uint16_t port, const char *own_tag, uint32_t n, bool more, struct osp_msg *q)
{
    struct osp_msg m, r;

    request(&m, OSP_PUT, "up");
    add_block(&m, OSP_OPT_BLOCK1, n, more, 2);
    if (own_tag)
        add(&m, OSP_OPT_REQUEST_TAG, own_tag);
    m.payload = osp_slice(&body[64 * n], more ? 64 : 10);
    send_from(host, port, &m);
    at_origin(q);
    expect_block(q, OSP_OPT_BLOCK1, n, more, 2);
    EXPECT_BYTES(m.payload, q->payload);
    osp_msg_init(&r, more ? OSP_CODE(2, 31) : OSP_CODE(2, 4));
    add_block(&r, OSP_OPT_BLOCK1, n, more, 2);
    origin_says(q, &r);
    at_client(&r, more ? OSP_CODE(2, 31) : OSP_CODE(2, 4));
    expect_block(&r, OSP_OPT_BLOCK1, n, more, 2);
    assert_int_equal(last.to.peer.ip.b[15], host);
    assert_int_equal(last.to.peer.port, port);
}

/* row B03 */
/* [rfc7959#2.5] [rfc9175#3.5.2] */
static void
uploads_of_two_clients_are_told_apart(void **state)
{
    static const struct { uint8_t host; uint16_t port; const char *tag; } who[] = {
        { 1, 40000, NULL }, { 2, 40000, NULL }, { 1, 40001, NULL }, { 1, 40000, "a" },
    };
    struct osp_msg q[3][4];

    (void)state;
    world_start(&w);
    for (uint32_t n = 0; n < 3; n++)
        for (size_t i = 0; i < 4; i++)
            send_upload(who[i].host, who[i].port, who[i].tag, n, n < 2, &q[n][i]);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_BYTES(tag(&q[0][i], 0), tag(&q[1][i], 0));       /* one transfer, one tag */
        EXPECT_BYTES(tag(&q[0][i], 0), tag(&q[2][i], 0));
        for (size_t k = 0; k < i; k++)
            assert_false(osp_slice_eq(tag(&q[0][i], 0), tag(&q[0][k], 0)));
    }
}

/* row E04 */
/* [rfc9175#3.3] */
static void
tags_of_the_client_travel_as_they_are_and_in_order(void **state)
{
    struct osp_msg m, q, other;

    (void)state;
    world_start(&w);
    for (int i = 0; i < 2; i++) {
        request(&m, OSP_PUT, "up");
        add_block(&m, OSP_OPT_BLOCK1, 0, true, 2);
        add(&m, OSP_OPT_REQUEST_TAG, i ? "" : "\x01");
        add(&m, OSP_OPT_REQUEST_TAG, i ? "\x01" : "");
        m.payload = osp_slice(body, 64);
        send(&m);
        at_origin(i ? &other : &q);
    }
    assert_int_equal(tags(&q), 3);
    EXPECT_BYTES(osp_slice_str("\x01"), tag(&q, 1));
    EXPECT_BYTES(OSP_EMPTY, tag(&q, 2));
    assert_false(osp_slice_eq(tag(&q, 0), tag(&other, 0)));     /* another list is another transfer */
    request(&m, OSP_PUT, "whole");                              /* without blocks a tag means nothing, and nothing is added */
    add(&m, OSP_OPT_REQUEST_TAG, "\x01");
    send(&m);
    at_origin(&q);
    assert_int_equal(tags(&q), 1);
}

/* [rfc9175#3.4] */
static void
block2_after_an_upload_keeps_the_tag(void **state)
{
    struct osp_msg m, q, up;

    (void)state;
    world_start(&w);
    send_upload(1, 40000, NULL, 0, false, &up);
    request(&m, OSP_PUT, "up");
    add_block(&m, OSP_OPT_BLOCK2, 1, false, 2);
    send(&m);
    at_origin(&q);
    EXPECT_BYTES(tag(&up, 0), tag(&q, 0));
    send_from(2, 40000, &m);                    /* another client uploaded nothing */
    at_origin(&q);
    assert_int_equal(tags(&q), 0);
    request(&m, OSP_PUT, "up");                 /* a new operation, without blocks */
    m.payload = osp_slice(body, 10);
    send(&m);
    at_origin(&q);
    assert_int_equal(tags(&q), 0);
    request(&m, OSP_PUT, "up");
    add_block(&m, OSP_OPT_BLOCK2, 1, false, 2);
    send(&m);
    at_origin(&q);
    assert_int_equal(tags(&q), 0);
}

/* row B04 */
/* [rfc8613#4.1.3.4.2] all of them are POST / */
static void
protected_uploads_of_two_clients_are_told_apart(void **state)
{
    struct osp_msg m, q[2][2];

    (void)state;
    world_start(&w);
    for (uint32_t n = 0; n < 2; n++) {
        for (uint8_t i = 0; i < 2; i++) {       /* the same kid and Partial IV even: of two contexts at the origin */
            request(&m, OSP_POST, NULL);
            add(&m, OSP_OPT_OSCORE, "\x09\x05" "C");
            add_block(&m, OSP_OPT_BLOCK1, n, n < 1, 4);
            m.payload = osp_slice(&body[256 * n], 256);
            send_from((uint8_t)(1 + i), 40000, &m);
            at_origin(&q[n][i]);
            expect_block(&q[n][i], OSP_OPT_BLOCK1, n, n < 1, 4);
            EXPECT_BYTES(m.payload, q[n][i].payload);
        }
    }
    EXPECT_BYTES(tag(&q[0][0], 0), tag(&q[1][0], 0));
    EXPECT_BYTES(tag(&q[0][1], 0), tag(&q[1][1], 0));
    assert_false(osp_slice_eq(tag(&q[0][0], 0), tag(&q[0][1], 0)));
}

/* ---- blocks around a layer of ours ---- */

static struct osp_octx *
other_side(const char *sid, const char *rid)
{
    uint8_t                key[16];
    size_t                 n;
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str(sid),
                                 .recipient_id = osp_slice_str(rid) };
    struct osp_octx       *c;

    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    p.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_octx_new(&p, &c));
    osp_octx_grant(c, 0, 100000);
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    return c;
}

/* The client C, and the proxy has the other side of its context. */
static struct osp_octx *
client_context(void)
{
    world_context(&w, secret, "", "50", "43", 0);
    return other_side("C", "P");
}

/* `m` under the client's layer; the bytes are in `wr`. */
static void
protect(struct osp_octx *c, const struct osp_msg *m, struct osp_wr *wr, struct osp_msg *out, struct osp_layer *l)
{
    static const struct osp_leg leg = { OSP_LEG_TO_PROXY, true, false };
    uint8_t                     classes[OSP_MSG_OPTS_MAX];

    EXPECT_OK(osp_classes(&leg, m, classes));
    EXPECT_OK(osp_oscore_protect_request(cr, c, m, classes, wr, out, l));
}

/* Block `n` of the protected request `whole`. */
static void
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
static void
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

/* row B07 */
/* [rfc8613#8.2.1] [rfc8613#4.1.3.4.2] [rfc7959#2.3] */
static void
outer_blocks_are_put_together_before_the_layer_comes_off(void **state)
{
    uint8_t          buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, whole, q, r, inner;

    (void)state;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 700);
    protect(c, &m, &wr, &whole, &l);
    for (uint32_t n = 0; n < 2; n++) {
        send_part(&whole, n, 4);
        at_client(&r, OSP_CODE(2, 31));
        expect_block(&r, OSP_OPT_BLOCK1, n, true, 4);
        assert_false(osp_msg_has(&r, OSP_OPT_OSCORE));
        nothing_left();
    }
    send_part(&whole, 2, 4);
    at_origin(&q);
    assert_int_equal(q.code, OSP_PUT);
    EXPECT_BYTES(osp_slice(body, 700), q.payload);
    assert_false(osp_msg_has(&q, OSP_OPT_BLOCK1));
    osp_msg_init(&r, OSP_CODE(2, 4));
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    expect_block(&r, OSP_OPT_BLOCK1, 2, false, 4);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &r, &wr, &inner));
    assert_int_equal(inner.code, OSP_CODE(2, 4));
    assert_false(osp_msg_has(&inner, OSP_OPT_BLOCK1));
    assert_int_equal(stats().bodies_assembled, 1);
    assert_int_equal(stats().bodies, 0);
    /* one block only is a body too */
    wr.n = 0;
    osp_layer_fini(&l);
    m.payload = osp_slice(body, 5);
    protect(c, &m, &wr, &whole, &l);
    send_part(&whole, 0, 6);
    at_origin(&q);
    EXPECT_BYTES(osp_slice(body, 5), q.payload);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* rows B02, B05, B08 */
/* [rfc7959#2.9.2] [rfc7959#2.9.3] [rfc8613#4.1.3.4.2] */
static void
missing_wrong_and_endless_blocks_are_refused(void **state)
{
    uint8_t          buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, whole, r;

    (void)state;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 700);
    protect(c, &m, &wr, &whole, &l);
    send_part(&whole, 1, 4);                            /* without a first one */
    at_client(&r, OSP_CODE(4, 8));
    send_part(&whole, 0, 2);
    at_client(&r, OSP_CODE(2, 31));
    send_part(&whole, 2, 2);                            /* one is missing */
    at_client(&r, OSP_CODE(4, 8));
    send_part(&whole, 1, 2);                            /* it comes late */
    at_client(&r, OSP_CODE(2, 31));
    send_part(&whole, 1, 2);                            /* and again */
    at_client(&r, OSP_CODE(2, 31));
    osp_msg_copy(&m, &whole);
    m.payload = osp_slice(body, 63);
    add_block(&m, OSP_OPT_BLOCK1, 2, true, 2);          /* not as long as it says */
    send(&m);
    at_client(&r, OSP_CODE(4, 0));
    m.payload = osp_slice(body, 64);
    add_block(&m, OSP_OPT_BLOCK1, 0, true, 7);
    send(&m);
    at_client(&r, OSP_CODE(4, 0));
    add_block(&m, OSP_OPT_BLOCK1, 0, true, 6);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_SIZE1, osp_slice("\x10\x01", 2)));        /* 4097: known from the first block */
    m.payload = osp_slice(body, 1024);
    send(&m);
    at_client(&r, OSP_CODE(4, 13));
    assert_int_equal(uint_of(&r, OSP_OPT_SIZE1), 4096);
    osp_msg_remove(&m, OSP_OPT_SIZE1);
    for (uint32_t n = 0; n < 4; n++) {
        add_block(&m, OSP_OPT_BLOCK1, n, true, 6);
        send(&m);
        at_client(&r, OSP_CODE(2, 31));
    }
    add_block(&m, OSP_OPT_BLOCK1, 4, true, 6);
    send(&m);
    at_client(&r, OSP_CODE(4, 13));
    assert_int_equal(uint_of(&r, OSP_OPT_SIZE1), 4096);
    assert_int_equal(stats().bodies, 0);
    assert_int_equal(stats().errors[OSP_E_BODY_GAP], 2);
    assert_int_equal(stats().errors[OSP_E_TOO_LARGE], 2);
    nothing_left();
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* Two clients, one message each under their layers, in blocks that arrive alternately. */
static void
assembly_is_per_client_and_starts_again_at_block_0(void **state)
{
    uint8_t          buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, whole, part, q, r;

    (void)state;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 300);
    protect(c, &m, &wr, &whole, &l);
    osp_msg_copy(&part, &whole);
    part.payload = osp_slice(body, 256);
    add_block(&part, OSP_OPT_BLOCK1, 0, true, 4);
    send_from(2, 40000, &part);                         /* somebody else with the same OSCORE option */
    at_client(&r, OSP_CODE(2, 31));
    send(&part);                                        /* the client itself, and then it thinks again */
    at_client(&r, OSP_CODE(2, 31));
    send_part(&whole, 0, 4);
    at_client(&r, OSP_CODE(2, 31));
    send_part(&whole, 1, 4);
    at_origin(&q);
    EXPECT_BYTES(osp_slice(body, 300), q.payload);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* [rfc7959#2.4] [rfc8613#4.1.3.4.2] */
static void
response_is_cut_as_the_client_asks_for_it(void **state)
{
    static uint8_t   buf[16384], got[4096];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf)), all = osp_wr_to(got, sizeof(got));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, out, q, r, inner;
    size_t           count;

    (void)state;
    world_start(&w);
    request(&m, OSP_GET, "big");
    protect(c, &m, &wr, &out, &l);
    osp_msg_copy(&m, &out);
    add_block(&m, OSP_OPT_BLOCK2, 0, false, 3);
    send(&m);
    at_origin(&q);
    assert_false(osp_msg_has(&q, OSP_OPT_BLOCK2));
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice(body, 900);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    expect_block(&r, OSP_OPT_BLOCK2, 0, true, 3);
    assert_true(uint_of(&r, OSP_OPT_SIZE2) > 900);
    fetch(&r, &out, &all, &count);
    assert_int_equal(count, 8);
    nothing_left();
    r.payload = osp_wr_slice(&all);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &r, &wr, &inner));
    EXPECT_BYTES(osp_slice(body, 900), inner.payload);
    assert_int_equal(stats().bodies_cut, 1);
    assert_int_equal(stats().blocks_served, 7);
    /* behind the end, by somebody else, and when it is forgotten */
    osp_msg_copy(&m, &out);
    m.payload = OSP_EMPTY;
    add_block(&m, OSP_OPT_BLOCK2, 8, false, 3);
    send(&m);
    at_client(&r, OSP_CODE(4, 0));
    add_block(&m, OSP_OPT_BLOCK2, 1, false, 3);
    send_from(2, 40000, &m);
    at_client(&r, OSP_CODE(4, 2));
    m.payload = osp_slice(body, 20);
    send_from(2, 40000, &m);
    at_client(&r, OSP_CODE(4, 8));
    world_run(&w, OSP_SEC(248));
    send(&m);
    at_client(&r, OSP_CODE(4, 8));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

static void
response_longer_than_a_datagram_is_cut(void **state)
{
    static uint8_t   buf[16384], got[4096];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf)), all = osp_wr_to(got, sizeof(got));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, out, q, r, inner;
    size_t           count;

    (void)state;
    world_start(&w);
    request(&m, OSP_GET, "big");
    protect(c, &m, &wr, &out, &l);
    send(&out);
    at_origin(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice(body, 2500);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    expect_block(&r, OSP_OPT_BLOCK2, 0, true, 6);
    fetch(&r, &out, &all, &count);
    assert_int_equal(count, 3);
    r.payload = osp_wr_slice(&all);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &r, &wr, &inner));
    EXPECT_BYTES(osp_slice(body, 2500), inner.payload);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* The same without a layer, as a response from a leg with longer messages. */
static void
plain_response_longer_than_a_datagram_is_cut(void **state)
{
    static uint8_t got[4096];
    struct osp_wr  all = osp_wr_to(got, sizeof(got));
    struct osp_msg m, ask, q, r;
    size_t         count;

    (void)state;
    world_start(&w);
    request(&m, OSP_GET, "big");
    osp_msg_copy(&ask, &m);
    send(&m);
    at_origin(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, OSP_OPT_ETAG, "v1");
    r.payload = osp_slice(body, 2500);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&r, OSP_OPT_ETAG)->val);
    fetch(&r, &ask, &all, &count);
    assert_int_equal(count, 3);
    EXPECT_BYTES(osp_slice(body, 2500), osp_wr_slice(&all));
    nothing_left();
}

/* ---- blocks towards the next hop ---- */

/* Every request gets the layer of a context that the origin has as `T`; the origin's side of it. */
static struct osp_octx *
protect_upstream(void)
{
    struct osp_octx *c = world_context(&w, secret, "", "d4", "54", 0);

    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN }, .ctx = c };
    w.policy.upstream_count = 1;
    return other_side("T", "\xd4");
}

/* Takes the request that comes to the origin in blocks, at most `szx`; the last block stays to be answered. */
static void
receive(struct osp_wr *all, uint8_t szx, struct osp_msg *q, size_t *count)
{
    struct osp_block b = { 0 };
    struct osp_msg   r, before;
    bool             has = false;

    *count = 0;
    for (;;) {
        at_origin(q);
        EXPECT_OK(osp_block_get(q, OSP_OPT_BLOCK1, &has, &b));
        assert_true(has);
        if (*count > 0)
            EXPECT_BYTES(tag(&before, 0), tag(q, 0));
        else
            assert_true(osp_msg_has(q, OSP_OPT_SIZE1));
        osp_msg_copy(&before, q);
        if (b.szx > szx)                /* taken in full, and the others are wanted smaller [rfc7959#2.3] */
            assert_int_equal(b.num, 0);
        EXPECT_OK(osp_body_add(all, &b, q->payload));
        ++*count;
        if (!b.more)
            return;
        osp_msg_init(&r, OSP_CODE(2, 31));
        add_block(&r, OSP_OPT_BLOCK1, b.num, true, b.szx > szx ? szx : b.szx);
        origin_says(q, &r);
    }
}

/* Gives the protected response `whole` out in blocks of `szx`, the first one to `q`; `count` blocks, the last one not sent
   but left in `r`, its request in `q`. */
static void
give_out(struct osp_msg *whole, uint8_t szx, struct osp_msg *q, struct osp_msg *r)
{
    struct osp_block at = { 0, false, szx }, b;
    struct osp_slice piece;
    bool             has = false;

    for (;;) {
        osp_msg_copy(r, whole);
        EXPECT_OK(osp_block_cut(whole->payload, &at, &b, &piece));
        r->payload = piece;
        add_block(r, OSP_OPT_BLOCK2, b.num, b.more, b.szx);
        if (!b.more)
            return;
        origin_says(q, r);
        at_origin(q);
        EXPECT_OK(osp_block_get(q, OSP_OPT_BLOCK2, &has, &at));
        assert_true(has);
        assert_int_equal(at.num, b.num + 1);
        assert_true(osp_msg_has(q, OSP_OPT_OSCORE));
        assert_int_equal(q->payload.n, 0);
        osp_msg_remove(whole, OSP_OPT_OBSERVE);
    }
}

static struct osp_octx        *origin;
static struct osp_layer        origin_layer;
static uint8_t                 origin_buf[65536];
static struct osp_wr           origin_wr;

/* The request `q` without the layer, at the origin. */
static void
open_at_origin(const struct osp_msg *q, struct osp_msg *inner)
{
    osp_layer_fini(&origin_layer);
    EXPECT_OK(osp_oscore_unprotect_request(cr, origin, q, &origin_wr, inner, &origin_layer));
}

/* `plain` under the layer of the request that was opened last. */
static void
protect_at_origin(const struct osp_msg *plain, struct osp_msg *out)
{
    static const struct osp_leg leg = { OSP_LEG_TO_PROXY, true, false };
    uint8_t                     classes[OSP_MSG_OPTS_MAX];

    EXPECT_OK(osp_classes(&leg, plain, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, &origin_layer, plain, classes, false, &origin_wr, out));
}

static int
setup_upstream(void **state)
{
    setup(state);
    origin = protect_upstream();
    origin_layer = (struct osp_layer){ 0 };
    origin_wr = osp_wr_to(origin_buf, sizeof(origin_buf));
    world_start(&w);
    return 0;
}

static int
teardown_upstream(void **state)
{
    osp_layer_fini(&origin_layer);
    osp_octx_unref(origin);
    return teardown(state);
}

/* [rfc8613#4.1.3.4.2] [rfc7959#2.5] */
static void
request_longer_than_a_datagram_goes_out_in_blocks(void **state)
{
    static uint8_t got[4096];
    struct osp_wr  all;
    struct osp_msg m, q, r, inner, out;
    size_t         count;

    (void)state;
    for (uint8_t szx = 6; szx >= 5; szx--) {            /* the origin takes them as they are, or wants them smaller */
        all = osp_wr_to(got, sizeof(got));
        request(&m, OSP_PUT, "up");
        m.payload = osp_slice(body, 1150);              /* with our layer it is too long */
        send(&m);
        receive(&all, szx, &q, &count);
        assert_int_equal(count, 2);
        q.payload = osp_wr_slice(&all);
        open_at_origin(&q, &inner);
        assert_int_equal(inner.code, OSP_PUT);
        EXPECT_BYTES(osp_slice(body, 1150), inner.payload);
        assert_false(osp_msg_has(&inner, OSP_OPT_BLOCK1));
        osp_msg_init(&r, OSP_CODE(2, 4));
        protect_at_origin(&r, &out);
        add_block(&out, OSP_OPT_BLOCK1, 1, false, szx);
        origin_says(&q, &out);
        at_client(&r, OSP_CODE(2, 4));
        assert_false(osp_msg_has(&r, OSP_OPT_BLOCK1));
    }
    assert_int_equal(stats().bodies_sent, 2);
    assert_int_equal(stats().blocks_sent, 4);
}

/* [rfc7959#2.9.3] the origin names a smaller size: the same from the beginning in smaller blocks, once */
static void
smaller_blocks_after_4_13(void **state)
{
    static uint8_t got[4096];
    struct osp_wr  all = osp_wr_to(got, sizeof(got));
    struct osp_msg m, q, r, inner, out;
    size_t         count;

    (void)state;
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 1150);
    send(&m);
    at_origin(&q);
    expect_block(&q, OSP_OPT_BLOCK1, 0, true, 6);
    osp_msg_init(&r, OSP_CODE(4, 13));
    add_block(&r, OSP_OPT_BLOCK1, 0, false, 4);
    origin_says(&q, &r);
    receive(&all, 4, &q, &count);
    assert_int_equal(count, 5);
    q.payload = osp_wr_slice(&all);
    open_at_origin(&q, &inner);
    EXPECT_BYTES(osp_slice(body, 1150), inner.payload);
    osp_msg_init(&r, OSP_CODE(2, 4));
    protect_at_origin(&r, &out);
    origin_says(&q, &out);
    at_client(&r, OSP_CODE(2, 4));
}

/* What an origin says of blocks that the client never made is no answer for the client. */
static void
origin_that_loses_blocks_is_a_bad_gateway(void **state)
{
    static const uint8_t codes[] = { OSP_CODE(4, 8), OSP_CODE(4, 13), OSP_CODE(2, 4), OSP_CODE(2, 31) };
    struct osp_msg       m, q, r;

    (void)state;
    for (size_t i = 0; i < sizeof(codes); i++) {
        request(&m, OSP_PUT, "up");
        m.payload = osp_slice(body, 1150);
        send(&m);
        at_origin(&q);
        osp_msg_init(&r, codes[i]);                     /* no Block1 in it, and no layer */
        origin_says(&q, &r);
        at_client(&r, OSP_CODE(5, 2));
        nothing_left();
    }
    request(&m, OSP_PUT, "up");                         /* and one that falls silent */
    m.payload = osp_slice(body, 1150);
    send(&m);
    at_origin(&q);
    osp_msg_init(&r, OSP_CODE(2, 31));
    add_block(&r, OSP_OPT_BLOCK1, 0, true, 6);
    origin_says(&q, &r);
    at_origin(&q);
    world_run(&w, OSP_SEC(110));
    for (r.code = 0; r.code != OSP_CODE(5, 4);)
        take(&r);
    w.out_count = 0;
}

/* [rfc8613#8.4.1] [rfc8613#4.1.3.4.2] */
static void
response_in_outer_blocks_is_put_together(void **state)
{
    struct osp_msg m, q, r, inner, whole;

    (void)state;
    request(&m, OSP_GET, "big");
    send(&m);
    at_origin(&q);
    open_at_origin(&q, &inner);
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice(body, 900);
    protect_at_origin(&r, &whole);
    add(&whole, OSP_OPT_ETAG, "v1");
    give_out(&whole, 4, &q, &r);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice(body, 900), r.payload);
    assert_false(osp_msg_has(&r, OSP_OPT_BLOCK2));
    assert_false(osp_msg_has(&r, OSP_OPT_ETAG));        /* of the blocks, not of the resource */
    assert_int_equal(stats().bodies_collected, 1);
    nothing_left();
}

/* row B06 */
/* [rfc7959#2.4] */
static void
blocks_of_two_bodies_are_never_one(void **state)
{
    static const struct { const char *etag; uint32_t num; uint8_t szx; } second[] = {
        { "v2", 1, 4 }, { NULL, 1, 4 }, { "v1", 2, 4 }, { "v1", 0, 4 }, { "v1", 1, 5 },
    };
    struct osp_msg m, q, r, inner, whole;

    (void)state;
    for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
        request(&m, OSP_GET, "big");
        send(&m);
        at_origin(&q);
        open_at_origin(&q, &inner);
        osp_msg_init(&r, OSP_CODE(2, 5));
        r.payload = osp_slice(body, 900);
        protect_at_origin(&r, &whole);
        osp_msg_copy(&r, &whole);
        add(&r, OSP_OPT_ETAG, "v1");
        add_block(&r, OSP_OPT_BLOCK2, 0, true, 4);
        r.payload = osp_slice_head(whole.payload, 256);
        origin_says(&q, &r);
        at_origin(&q);
        osp_msg_copy(&r, &whole);
        if (second[i].etag)
            add(&r, OSP_OPT_ETAG, second[i].etag);
        add_block(&r, OSP_OPT_BLOCK2, second[i].num, true, second[i].szx);
        r.payload = osp_slice_head(osp_slice_tail(whole.payload, 256), osp_block_size(second[i].szx));
        origin_says(&q, &r);
        at_client(&r, OSP_CODE(5, 2));
        nothing_left();
    }
    assert_int_equal(stats().bodies_collected, 0);
}

/* row B08 */
static void
endless_response_is_given_up(void **state)
{
    struct osp_msg m, q, r, inner, whole;

    (void)state;
    request(&m, OSP_GET, "big");
    send(&m);
    at_origin(&q);
    open_at_origin(&q, &inner);
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice(body, 900);
    protect_at_origin(&r, &whole);
    for (uint32_t n = 0;; n++) {
        osp_msg_copy(&r, &whole);
        r.payload = osp_slice(body, 1024);
        add_block(&r, OSP_OPT_BLOCK2, n, true, 6);
        origin_says(&q, &r);
        if (n == 4)
            break;
        at_origin(&q);
    }
    at_client(&r, OSP_CODE(5, 2));
    nothing_left();
}

/* A client's blocks, the proxy's layer, and blocks again: no leg sees the other's. */
static void
blocks_on_one_leg_are_not_blocks_on_the_other(void **state)
{
    static uint8_t   buf[16384], got[4096], back[4096];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf)), all = osp_wr_to(got, sizeof(got)), home = osp_wr_to(back, sizeof(back));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, whole, q, r, inner;
    size_t           count;

    (void)state;
    request(&m, OSP_FETCH, "big");
    m.payload = osp_slice(body, 2000);
    protect(c, &m, &wr, &whole, &l);
    for (uint32_t n = 0; n < 7; n++) {
        send_part(&whole, n, 4);
        at_client(&r, OSP_CODE(2, 31));
    }
    send_part(&whole, 7, 4);
    receive(&all, 3, &q, &count);
    q.payload = osp_wr_slice(&all);
    open_at_origin(&q, &inner);
    assert_int_equal(inner.code, OSP_FETCH);
    EXPECT_BYTES(osp_slice(body, 2000), inner.payload);
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice(body, 2900);
    protect_at_origin(&r, &m);
    give_out(&m, 5, &q, &r);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    expect_block(&r, OSP_OPT_BLOCK1, 7, false, 4);
    expect_block(&r, OSP_OPT_BLOCK2, 0, true, 4);
    fetch(&r, &whole, &home, &count);
    r.payload = osp_wr_slice(&home);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &r, &wr, &inner));
    EXPECT_BYTES(osp_slice(body, 2900), inner.payload);
    nothing_left();
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* ---- observations ---- */

/* row B10 */
/* [rfc7959#2.6] */
static void
later_blocks_of_a_notification_are_fetched_without_observe(void **state)
{
    static uint8_t   buf[16384], got[4096];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf)), all;
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, ask, q, r, inner;
    struct osp_msg   sub;
    size_t           count;

    (void)state;
    world_start(&w);
    request(&m, OSP_GET, "big");
    add(&m, OSP_OPT_OBSERVE, "");
    protect(c, &m, &wr, &ask, &l);
    osp_msg_copy(&m, &ask);
    add_block(&m, OSP_OPT_BLOCK2, 0, false, 3);
    send(&m);
    at_origin(&sub);
    for (int i = 0; i < 3; i++) {
        all = osp_wr_to(got, sizeof(got));
        osp_msg_init(&r, OSP_CODE(2, 5));
        add(&r, OSP_OPT_OBSERVE, i == 0 ? "\x01" : i == 1 ? "\x02" : "\x03");
        r.payload = osp_slice(&body[i], 300);
        if (i == 0) {
            origin_says(&sub, &r);
        } else {
            uint8_t       d[2048];
            struct osp_wr dw = osp_wr_to(d, sizeof(d));

            world_run(&w, OSP_SEC(4));                  /* so that it is sent at once */
            r.type = OSP_NON;
            r.mid = ++next_mid;
            r.token = sub.token;
            EXPECT_OK(osp_msg_encode_udp(&r, &dw));
            world_in(&w, 0, 9, 5683, osp_wr_slice(&dw));
        }
        at_client(&q, OSP_CODE(2, 5));
        assert_true(osp_msg_has(&q, OSP_OPT_OBSERVE));
        expect_block(&q, OSP_OPT_BLOCK2, 0, true, 3);
        fetch(&q, &ask, &all, &count);
        assert_int_equal(count, 3);
        q.payload = osp_wr_slice(&all);
        EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &q, &wr, &inner));
        EXPECT_BYTES(osp_slice(&body[i], 300), inner.payload);
        nothing_left();
    }
    assert_int_equal(stats().bodies, 1);                /* a newer notification took the place of the older one */
    osp_msg_init(&r, OSP_CODE(4, 4));
    r.token = sub.token;
    r.type = OSP_NON;
    r.mid = ++next_mid;
    {
        uint8_t       d[2048];
        struct osp_wr dw = osp_wr_to(d, sizeof(d));

        EXPECT_OK(osp_msg_encode_udp(&r, &dw));
        world_in(&w, 0, 9, 5683, osp_wr_slice(&dw));
    }
    at_client(&r, OSP_CODE(2, 4));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* The message of the origin to the Token of `sub`, as a notification. */
static void
notify(const struct osp_msg *sub, struct osp_msg *r)
{
    uint8_t       d[2048];
    struct osp_wr dw = osp_wr_to(d, sizeof(d));

    r->type = OSP_NON;
    r->mid = ++next_mid;
    r->token = sub->token;
    EXPECT_OK(osp_msg_encode_udp(r, &dw));
    world_in(&w, 0, 9, 5683, osp_wr_slice(&dw));
}

static void
notification_in_outer_blocks_is_put_together(void **state)
{
    struct osp_msg m, sub, q, r, inner, whole;

    (void)state;
    request(&m, OSP_GET, "big");
    add(&m, OSP_OPT_OBSERVE, "");
    send(&m);
    at_origin(&sub);
    open_at_origin(&sub, &inner);
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, OSP_OPT_MAX_AGE, "\x10\x10");             /* no renewal comes in between */
    add(&r, OSP_OPT_OBSERVE, "");
    r.payload = osp_slice(body, 600);
    protect_at_origin(&r, &whole);
    osp_msg_copy(&q, &sub);
    give_out(&whole, 4, &q, &r);
    assert_false(osp_msg_has(&q, OSP_OPT_OBSERVE));
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice(body, 600), r.payload);
    assert_true(osp_msg_has(&r, OSP_OPT_OBSERVE));
    for (int i = 1; i < 3; i++) {                       /* the second one is given up for the third */
        world_run(&w, OSP_SEC(4));                      /* so that it is sent at once */
        w.out_count = 0;                                /* what was asked for the second one, again */
        osp_msg_init(&r, OSP_CODE(2, 5));
        add(&r, OSP_OPT_MAX_AGE, "\x10\x10");
        add(&r, OSP_OPT_OBSERVE, "\x01");
        r.payload = osp_slice(&body[i], 600);
        protect_at_origin(&r, &whole);
        osp_msg_copy(&r, &whole);
        add_block(&r, OSP_OPT_BLOCK2, 0, true, 4);
        r.payload = osp_slice_head(whole.payload, 256);
        notify(&sub, &r);
        at_origin(&q);
        expect_block(&q, OSP_OPT_BLOCK2, 1, false, 4);
        assert_false(osp_msg_has(&q, OSP_OPT_OBSERVE));
    }
    for (uint32_t n = 1; n < 3; n++) {
        osp_msg_copy(&r, &whole);
        osp_msg_remove(&r, OSP_OPT_OBSERVE);
        add_block(&r, OSP_OPT_BLOCK2, n, n < 2, 4);
        r.payload = osp_slice_head(osp_slice_tail(whole.payload, 256 * n), 256);
        origin_says(&q, &r);
        if (n < 2)
            at_origin(&q);
    }
    at_client(&r, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice(&body[2], 600), r.payload);
    nothing_left();
    /* one whose later block never comes is lost, and the observation goes on */
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, OSP_OPT_MAX_AGE, "\x10\x10");             /* no renewal comes in between */
    add(&r, OSP_OPT_OBSERVE, "\x01");
    r.payload = osp_slice(body, 600);
    protect_at_origin(&r, &whole);
    osp_msg_copy(&r, &whole);
    add_block(&r, OSP_OPT_BLOCK2, 0, true, 4);
    r.payload = osp_slice_head(whole.payload, 256);
    notify(&sub, &r);
    at_origin(&q);
    world_run(&w, OSP_SEC(200));
    w.out_count = 0;
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, OSP_OPT_MAX_AGE, "\x10\x10");             /* no renewal comes in between */
    add(&r, OSP_OPT_OBSERVE, "\x01");
    r.payload = osp_slice(body, 10);
    protect_at_origin(&r, &whole);
    notify(&sub, &whole);
    at_client(&r, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice(body, 10), r.payload);
    osp_msg_init(&r, OSP_CODE(4, 4));
    protect_at_origin(&r, &whole);
    notify(&sub, &whole);
    at_client(&r, OSP_CODE(4, 4));
}

/* ---- many that never end ---- */

static struct osp_msg flood_request;

static void
begin_transfer(uint8_t host, uint16_t port, uint8_t piv)
{
    uint8_t option[3] = { 0x09, piv, 'C' };

    osp_msg_init(&flood_request, OSP_POST);
    EXPECT_OK(osp_msg_add(&flood_request, OSP_OPT_OSCORE, osp_slice(option, 3)));
    add_block(&flood_request, OSP_OPT_BLOCK1, 0, true, 6);
    flood_request.payload = osp_slice(body, 1024);
    flood_request.type = OSP_NON;
    send_from(host, port, &flood_request);
}

/* The client's whole message in blocks still comes through. */
static void
others_are_served(struct osp_octx *c)
{
    uint8_t          buf[4096];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_layer l;
    struct osp_msg   m, whole, q, r;

    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 600);
    protect(c, &m, &wr, &whole, &l);
    send_part(&whole, 0, 5);
    at_client(&r, OSP_CODE(2, 31));
    send_part(&whole, 1, 5);
    at_origin(&q);
    EXPECT_BYTES(osp_slice(body, 600), q.payload);
    osp_msg_init(&r, OSP_CODE(2, 4));
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    osp_layer_fini(&l);
}

/* row B08 */
static void
half_transfers_of_one_peer_stay_within_its_bound(void **state)
{
    struct osp_octx *c = client_context();
    size_t           at_most = 0;
    struct osp_msg   r;

    (void)state;
    world_start(&w);
    for (unsigned i = 0; i < 100000; i++) {
        begin_transfer(77, (uint16_t)(1024 + i % 60000), (uint8_t)(i >> 8 | 1));
        at_client(&r, OSP_CODE(2, 31));
        at_most = stats().bodies > at_most ? stats().bodies : at_most;
        if (i % 10000 == 5000)
            others_are_served(c);
    }
    assert_int_equal(at_most, 4);
    assert_true(stats().bodies_evicted >= 90000);
    osp_octx_unref(c);
}

static void
half_transfers_of_many_peers_stay_within_the_common_bound(void **state)
{
    struct osp_octx *c = client_context();
    size_t           used = 0, at_most = 0;
    struct osp_msg   r;

    (void)state;
    world_start(&w);
    for (unsigned i = 0; i < 100000; i++) {
        begin_transfer((uint8_t)(10 + i % 200), (uint16_t)(1024 + i % 60000), (uint8_t)(i >> 8 | 1));
        at_client(&r, OSP_CODE(2, 31));
        at_most = stats().bodies > at_most ? stats().bodies : at_most;
        used = i == 10000 ? stats().pool_used : used;
        if (i % 10000 == 5000)
            others_are_served(c);
    }
    assert_int_equal(at_most, 32);
    assert_true(stats().pool_used < used + (1 << 20));
    assert_true(stats().bodies_evicted >= 90000);
    osp_octx_unref(c);
}

/* ---- our own resource ---- */

/* row B01 */
/* [rfc7959#2.4] */
static void
own_resource_is_given_out_in_blocks(void **state)
{
    static uint8_t   got[4096];
    struct osp_wr    all = osp_wr_to(got, sizeof(got));
    struct osp_block b = { 0 };
    struct osp_msg   m, r;
    bool             has = false;

    (void)state;
    world_start(&w);
    osp_msg_init(&m, OSP_GET);
    add(&m, OSP_OPT_URI_PATH, ".well-known");
    add(&m, OSP_OPT_URI_PATH, "core");
    send(&m);
    at_client(&r, OSP_CODE(2, 5));
    for (uint32_t n = 0; n == 0 || b.more; n++) {
        struct osp_msg part;

        add_block(&m, OSP_OPT_BLOCK2, n, false, 0);
        send(&m);
        at_client(&part, OSP_CODE(2, 5));
        EXPECT_OK(osp_block_get(&part, OSP_OPT_BLOCK2, &has, &b));
        assert_true(has && osp_msg_has(&part, OSP_OPT_ETAG));
        EXPECT_OK(osp_body_add(&all, &b, part.payload));
    }
    EXPECT_BYTES(r.payload, osp_wr_slice(&all));
    add_block(&m, OSP_OPT_BLOCK2, 2, false, 0);
    send(&m);
    at_client(&r, OSP_CODE(4, 0));
    add_block(&m, OSP_OPT_BLOCK2, 0, false, 7);
    send(&m);
    at_client(&r, OSP_CODE(4, 0));
    osp_msg_remove(&m, OSP_OPT_BLOCK2);
    add_block(&m, OSP_OPT_BLOCK1, 0, false, 0);     /* there is nothing to upload to */
    send(&m);
    at_client(&r, OSP_CODE(4, 2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define U(name) cmocka_unit_test_setup_teardown(name, setup_upstream, teardown_upstream)
        T(uploads_of_two_clients_are_told_apart),
        T(tags_of_the_client_travel_as_they_are_and_in_order),
        T(block2_after_an_upload_keeps_the_tag),
        T(protected_uploads_of_two_clients_are_told_apart),
        T(outer_blocks_are_put_together_before_the_layer_comes_off),
        T(missing_wrong_and_endless_blocks_are_refused),
        T(assembly_is_per_client_and_starts_again_at_block_0),
        T(response_is_cut_as_the_client_asks_for_it),
        T(response_longer_than_a_datagram_is_cut),
        T(plain_response_longer_than_a_datagram_is_cut),
        U(request_longer_than_a_datagram_goes_out_in_blocks),
        U(smaller_blocks_after_4_13),
        U(origin_that_loses_blocks_is_a_bad_gateway),
        U(response_in_outer_blocks_is_put_together),
        U(blocks_of_two_bodies_are_never_one),
        U(endless_response_is_given_up),
        U(blocks_on_one_leg_are_not_blocks_on_the_other),
        T(later_blocks_of_a_notification_are_fetched_without_observe),
        U(notification_in_outer_blocks_is_put_together),
        T(own_resource_is_given_out_in_blocks),
        T(half_transfers_of_one_peer_stay_within_its_bound),
        T(half_transfers_of_many_peers_stay_within_the_common_bound),
#undef T
#undef U
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
