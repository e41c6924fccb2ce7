/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise transfers of clients at the proxy, in virtual time: what passes by, what is put together, what is cut. */
#include "blocks.h"

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

/* The client's side of a context that the proxy has the other side of; `id` is most of its ID Context. */
static struct osp_octx *
named_context(const char *proxy, const char *client, char id)
{
    uint8_t                 key[16] = { 1 }, name[64];
    struct osp_octx_params  p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice(key, 16),
                                  .has_id_context = true, .id_context = osp_slice(name, 64) };
    struct osp_octx        *c[2];

    memset(name, id, sizeof(name));
    for (int i = 0; i < 2; i++) {
        p.sender_id = osp_slice_str(i ? client : proxy);
        p.recipient_id = osp_slice_str(i ? proxy : client);
        EXPECT_OK(osp_octx_new(&p, &c[i]));
        osp_octx_grant(c[i], 0, 1000);
        osp_octx_set_window(c[i], &(struct osp_replay){ 0 });
    }
    EXPECT_OK(osp_octx_configured_add(w.table, c[0]));
    w.ctxs[w.ctx_count++] = c[0];
    return c[1];
}

/* `m` under three layers to the proxy, and what it makes of it. */
static void
send_nested(struct osp_octx *const c[3], const struct osp_msg *m, struct osp_msg *q)
{
    static uint8_t   buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_layer l[3];
    struct osp_msg   out[2];

    osp_msg_copy(&out[0], m);
    for (size_t i = 0; i < 3; i++) {
        protect(c[i], &out[i % 2], &wr, &out[(i + 1) % 2], &l[i]);
        osp_layer_fini(&l[i]);
    }
    send(&out[1]);
    at_origin(q);
}

/* However many layers came off, and however long the ID Contexts are: all of them count. */
static void
uploads_under_many_layers_are_told_apart(void **state)
{
    struct osp_octx *outer[2] = { named_context("proxy-b", "outer-b", 'b'), named_context("proxy-a", "outer-a", 'a') };
    struct osp_octx *one[3] = { named_context("proxy-c", "inner-c", '1'), outer[0], outer[1] };
    struct osp_octx *two[3] = { named_context("proxy-c", "inner-c", '2'), outer[0], outer[1] };
    struct osp_msg   m, q[2], later;

    (void)state;
    world_start(&w);
    for (int i = 0; i < 2; i++) {
        request(&m, OSP_PUT, "up");
        add_block(&m, OSP_OPT_BLOCK1, 0, false, 2);
        m.payload = osp_slice(body, 10);
        send_nested(i ? two : one, &m, &q[i]);
    }
    assert_false(osp_slice_eq(tag(&q[0], 0), tag(&q[1], 0)));
    request(&m, OSP_PUT, "up");
    add_block(&m, OSP_OPT_BLOCK2, 1, false, 2);
    send_nested(one, &m, &later);
    EXPECT_BYTES(tag(&q[0], 0), tag(&later, 0));
    for (int i = 0; i < 2; i++)
        osp_octx_unref(outer[i]);
    osp_octx_unref(one[0]);
    osp_octx_unref(two[0]);
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
        struct osp_msg quiet;

        osp_msg_copy(&quiet, &whole);
        add(&quiet, OSP_OPT_NO_RESPONSE, "\x02");       /* no 2.xx please; but it has to go on */
        send_part(&quiet, n, 4);
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
    assert_int_equal(stats().bodies, 1);                /* the other one's beginning */
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* [rfc7959#2.3] the client finds a smaller size better in the middle */
static void
blocks_may_become_smaller_on_the_way(void **state)
{
    static const struct { uint32_t num; uint8_t szx; } sent[] = { { 0, 4 }, { 4, 2 }, { 5, 2 }, { 24, 0 }, { 25, 0 } };
    uint8_t          buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, whole, q, r;

    (void)state;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 400 - 16);              /* with code, path and tag: 400 to 416 */
    protect(c, &m, &wr, &whole, &l);
    assert_true(whole.payload.n > 400 && whole.payload.n <= 416);
    for (size_t i = 0; i < 5; i++) {
        send_part(&whole, sent[i].num, sent[i].szx);
        if (i < 4) {
            at_client(&r, OSP_CODE(2, 31));
            expect_block(&r, OSP_OPT_BLOCK1, sent[i].num, true, sent[i].szx);
        }
    }
    at_origin(&q);
    EXPECT_BYTES(m.payload, q.payload);
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
    add(&m, OSP_OPT_ETAG, "v0");                /* what it had before makes no other operation of it */
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
    assert_int_equal(stats().bodies, 1);
    world_run(&w, OSP_SEC(46));                 /* all of it was fetched */
    assert_int_equal(stats().bodies, 0);
}

/* [rfc7959#2.4] When a newer response passes by in blocks of the origin's, the later ones are the origin's too. */
static void
later_blocks_are_of_the_newest_response(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    for (uint32_t n = 0; n < 3; n++) {
        request(&m, OSP_GET, "big");
        if (n > 0)
            add_block(&m, OSP_OPT_BLOCK2, n - 1, false, 5);
        send(&m);
        at_origin(&q);
        osp_msg_init(&r, OSP_CODE(2, 5));
        add(&r, OSP_OPT_ETAG, n == 0 ? "v1" : "v2");
        if (n > 0)
            add_block(&r, OSP_OPT_BLOCK2, n - 1, true, 5);
        r.payload = osp_slice(&body[n], n == 0 ? 2500 : 512);
        origin_says(&q, &r);
        at_client(&r, OSP_CODE(2, 5));
        expect_block(&r, OSP_OPT_BLOCK2, n ? n - 1 : 0, true, n ? 5 : 6);
        EXPECT_BYTES(osp_slice_str(n == 0 ? "v1" : "v2"), osp_msg_get(&r, OSP_OPT_ETAG)->val);
    }
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

/* ---- a body of several blocks, and on again in blocks ---- */

/* The client's request `m` in blocks around its layer; the first block of the proxy's own at the origin. */
static void
send_long(struct osp_octx *c, struct osp_msg *m, struct osp_layer *l, struct osp_msg *q)
{
    static uint8_t buf[16384];
    struct osp_wr  wr = osp_wr_to(buf, sizeof(buf));
    struct osp_msg whole, r;

    m->payload = osp_slice(body, 1500);
    protect(c, m, &wr, &whole, l);
    send_part(&whole, 0, 6);
    at_client(&r, OSP_CODE(2, 31));
    send_part(&whole, 1, 6);
    at_origin(q);
    expect_block(q, OSP_OPT_BLOCK1, 0, true, 6);
}

/* What goes on without an answer stops there. */
static void
only_the_last_block_may_be_left_unanswered(void **state)
{
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, q, r;

    (void)state;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    add(&m, OSP_OPT_NO_RESPONSE, "\x02");
    send_long(c, &m, &l, &q);
    assert_false(osp_msg_has(&q, OSP_OPT_NO_RESPONSE));
    osp_msg_init(&r, OSP_CODE(2, 31));
    add_block(&r, OSP_OPT_BLOCK1, 0, true, 6);
    origin_says(&q, &r);
    at_origin(&q);
    expect_block(&q, OSP_OPT_BLOCK1, 1, false, 6);
    assert_int_equal(uint_of(&q, OSP_OPT_NO_RESPONSE), 2);
    osp_msg_init(&r, OSP_CODE(2, 4));
    origin_says(&q, &r);
    take(&r);                                           /* the ACK only */
    assert_int_equal(r.code, 0);
    nothing_left();
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* [rfc7959#2.6] The answer to a part of a registration registers nothing, whatever it says. */
static void
answer_to_the_first_block_begins_no_observation(void **state)
{
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, q, r;

    (void)state;
    world_start(&w);
    request(&m, OSP_FETCH, "x");
    add(&m, OSP_OPT_OBSERVE, "");
    add(&m, OSP_OPT_OSCORE, "\x09\x05" "E");
    send_long(c, &m, &l, &q);
    assert_false(osp_msg_has(&q, OSP_OPT_OBSERVE));
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, OSP_OPT_OBSERVE, "\x01");
    add(&r, OSP_OPT_OSCORE, "");
    r.payload = osp_slice(body, 20);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    assert_false(osp_msg_has(&r, OSP_OPT_OBSERVE));
    assert_int_equal(stats().observations, 0);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* ---- one depth ---- */

/* There is one depth at which a message of a client is cut. */
static void
blocks_around_two_of_our_layers_are_refused(void **state)
{
    uint8_t          buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *outer = named_context("proxy-a", "outer-a", 'a'), *in = named_context("proxy-b", "inner-b", 'b');
    struct osp_layer l[2];
    struct osp_msg   m, one, two, r, inner;

    (void)state;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 10);
    protect(in, &m, &wr, &one, &l[0]);
    for (int i = 0; i < 2; i++) {
        osp_msg_copy(&m, &one);
        if (i == 0)
            add_block(&m, OSP_OPT_BLOCK1, 0, false, 6);
        else
            add_block(&m, OSP_OPT_BLOCK2, 0, false, 6);
        protect(outer, &m, &wr, &two, &l[1]);
        send_part(&two, 0, 6);
        at_client(&r, OSP_CODE(2, 4));
        EXPECT_OK(osp_oscore_unprotect_response(cr, &l[1], &r, &wr, &inner));
        assert_int_equal(inner.code, OSP_CODE(4, 2));
        osp_layer_fini(&l[1]);
    }
    osp_layer_fini(&l[0]);
    osp_octx_unref(outer);
    osp_octx_unref(in);
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
        T(uploads_of_two_clients_are_told_apart),
        T(tags_of_the_client_travel_as_they_are_and_in_order),
        T(block2_after_an_upload_keeps_the_tag),
        T(uploads_under_many_layers_are_told_apart),
        T(protected_uploads_of_two_clients_are_told_apart),
        T(outer_blocks_are_put_together_before_the_layer_comes_off),
        T(missing_wrong_and_endless_blocks_are_refused),
        T(assembly_is_per_client_and_starts_again_at_block_0),
        T(blocks_may_become_smaller_on_the_way),
        T(response_is_cut_as_the_client_asks_for_it),
        T(response_longer_than_a_datagram_is_cut),
        T(plain_response_longer_than_a_datagram_is_cut),
        T(later_blocks_are_of_the_newest_response),
        T(later_blocks_of_a_notification_are_fetched_without_observe),
        T(only_the_last_block_may_be_left_unanswered),
        T(answer_to_the_first_block_begins_no_observation),
        T(own_resource_is_given_out_in_blocks),
        T(blocks_around_two_of_our_layers_are_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
