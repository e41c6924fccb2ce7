/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise transfers of the proxy with the next hop, in virtual time. */
#include "blocks.h"

/* ---- blocks towards the next hop ---- */

/* Every request gets the layer of a context that the origin has as `T`; the origin's side of it. */
static struct osp_octx *
protect_upstream(void)
{
    struct osp_octx *c = world_context(&w, secret, "", "d4", "54", 0);

    world_protect_upstream(&w, c);
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
    static const struct osp_layer_ends ends = { OSP_LAYER_TO_PROXY, true, false };
    uint8_t                            classes[OSP_MSG_OPTS_MAX];

    EXPECT_OK(osp_classes(&ends, plain, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, &origin_layer, plain, classes, false, &origin_wr, out));
}

/* A GET for /big reaches the origin as `q`; its answer of 900 bytes under the layer is `whole`, and not sent yet. */
static void
get_big(struct osp_msg *q, struct osp_msg *whole)
{
    struct osp_msg m, r, inner;

    request(&m, OSP_GET, "big");
    send(&m);
    at_origin(q);
    open_at_origin(q, &inner);
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice(body, 900);
    protect_at_origin(&r, whole);
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
    uint8_t        tag_before[8] = { 0 };
    size_t         count;

    (void)state;
    for (uint8_t szx = 6; szx >= 5; szx--) {            /* the origin takes them as they are, or wants them smaller */
        all = osp_wr_to(got, sizeof(got));
        request(&m, OSP_PUT, "up");
        m.payload = osp_slice(body, 1150);              /* with our layer it is too long */
        send(&m);
        receive(&all, szx, &q, &count);
        assert_int_equal(count, 2);
        assert_false(osp_slice_eq(osp_slice(tag_before, 8), tag(&q, 0)));      /* of one client, but another transfer */
        memcpy(tag_before, tag(&q, 0).p, 8);
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
    request(&m, OSP_PUT, "up");                         /* or acknowledges another block */
    m.payload = osp_slice(body, 1150);
    send(&m);
    at_origin(&q);
    osp_msg_init(&r, OSP_CODE(2, 31));
    add_block(&r, OSP_OPT_BLOCK1, 1, true, 6);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(5, 2));
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
    struct osp_msg q, r, whole;

    (void)state;
    get_big(&q, &whole);
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
    static const struct { const char *etag; uint32_t num; uint8_t szx, code; } second[] = {
        { "v2", 1, 4, 0 }, { NULL, 1, 4, 0 }, { "v1", 2, 4, 0 }, { "v1", 0, 4, 0 }, { "v1", 1, 5, 0 },
        { "v1", 1, 4, OSP_CODE(4, 4) },
    };
    struct osp_msg q, r, whole;

    (void)state;
    for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
        get_big(&q, &whole);
        osp_msg_copy(&r, &whole);
        add(&r, OSP_OPT_ETAG, "v1");
        add_block(&r, OSP_OPT_BLOCK2, 0, true, 4);
        r.payload = osp_slice_head(whole.payload, 256);
        origin_says(&q, &r);
        at_origin(&q);
        osp_msg_copy(&r, &whole);
        if (second[i].code)
            r.code = second[i].code;
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
    struct osp_msg q, r, whole;

    (void)state;
    get_big(&q, &whole);
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

/* The message of the origin to the Token of `sub`, as a notification. */
static void
notify(const struct osp_msg *sub, struct osp_msg *r)
{
    r->type = OSP_NON;
    r->mid = ++next_mid;
    r->token = sub->token;
    world_send(&w, 0, 9, 5683, r);
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

/* A registration whose first answer never comes whole has come to nothing. */
static void
registration_without_a_whole_answer_fails(void **state)
{
    struct osp_msg m, q, r, inner, whole;

    (void)state;
    for (int alone = 0; alone < 2; alone++) {
        request(&m, OSP_FETCH, "big");
        add(&m, OSP_OPT_OBSERVE, "");
        if (alone)
            add(&m, OSP_OPT_OSCORE, "\x09\x05" "E");
        m.payload = osp_slice(body, 20);
        send(&m);
        at_origin(&q);
        open_at_origin(&q, &inner);
        osp_msg_init(&r, OSP_CODE(2, 5));
        add(&r, OSP_OPT_OBSERVE, "");
        if (alone)
            add(&r, OSP_OPT_OSCORE, "");
        r.payload = osp_slice(body, 600);
        protect_at_origin(&r, &whole);
        osp_msg_copy(&r, &whole);
        add_block(&r, OSP_OPT_BLOCK2, 0, true, 4);
        r.payload = osp_slice_head(whole.payload, 256);
        origin_says(&q, &r);
        at_origin(&q);
        expect_block(&q, OSP_OPT_BLOCK2, 1, false, 4);
        world_run(&w, OSP_SEC(110));                    /* there is no answer */
        for (r.code = 0; r.code == 0 || last.to.sock == 0;)
            take(&r);
        assert_int_equal(r.code, OSP_CODE(5, 4));
        assert_int_equal(stats().observations, 0);
        w.out_count = 0;
    }
}

/* [rfc7959#2.6] only the whole of a long registration observes, and only its first response */
static void
long_registration_goes_out_in_blocks(void **state)
{
    static uint8_t got[4096];
    struct osp_wr  all = osp_wr_to(got, sizeof(got));
    struct osp_msg m, q, sub, r, inner, whole;

    (void)state;
    request(&m, OSP_FETCH, "big");
    add(&m, OSP_OPT_OBSERVE, "");
    m.payload = osp_slice(body, 1150);
    send(&m);
    at_origin(&q);
    assert_false(osp_msg_has(&q, OSP_OPT_OBSERVE));
    osp_wr_put(&all, q.payload);
    osp_msg_init(&r, OSP_CODE(2, 31));
    add_block(&r, OSP_OPT_BLOCK1, 0, true, 6);
    origin_says(&q, &r);
    at_origin(&sub);
    assert_true(osp_msg_has(&sub, OSP_OPT_OBSERVE));
    osp_wr_put(&all, sub.payload);
    osp_msg_copy(&q, &sub);
    q.payload = osp_wr_slice(&all);
    open_at_origin(&q, &inner);
    EXPECT_BYTES(m.payload, inner.payload);
    for (int i = 0; i < 2; i++) {
        world_run(&w, OSP_SEC(4));
        osp_msg_init(&r, OSP_CODE(2, 5));
        add(&r, OSP_OPT_MAX_AGE, "\x10\x10");
        add(&r, OSP_OPT_OBSERVE, i ? "\x01" : "");
        r.payload = osp_slice(&body[i], 600);
        protect_at_origin(&r, &whole);
        osp_msg_copy(&r, &whole);
        add_block(&r, OSP_OPT_BLOCK2, 0, true, 5);
        r.payload = osp_slice_head(whole.payload, 512);
        w.out_count = 0;
        if (i == 0)
            origin_says(&sub, &r);
        else
            notify(&sub, &r);
        at_origin(&q);
        expect_block(&q, OSP_OPT_BLOCK2, 1, false, 5);
        assert_false(osp_msg_has(&q, OSP_OPT_OBSERVE) || osp_msg_has(&q, OSP_OPT_BLOCK1));
        EXPECT_BYTES(tag(&sub, 0), tag(&q, 0));         /* [rfc9175#3.4] */
        osp_msg_copy(&r, &whole);
        osp_msg_remove(&r, OSP_OPT_OBSERVE);
        add_block(&r, OSP_OPT_BLOCK2, 1, false, 5);
        r.payload = osp_slice_tail(whole.payload, 512);
        origin_says(&q, &r);
        at_client(&r, OSP_CODE(2, 5));
        EXPECT_BYTES(osp_slice(&body[i], 600), r.payload);
        assert_true(osp_msg_has(&r, OSP_OPT_OBSERVE));
    }
    world_run(&w, OSP_SEC(4112 + 16));                  /* it registers again; what comes meanwhile does not disturb that */
    w.out_count = 1;
    at_origin(&q);
    expect_block(&q, OSP_OPT_BLOCK1, 0, true, 6);
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, OSP_OPT_OBSERVE, "\x02");
    r.payload = osp_slice(body, 600);
    protect_at_origin(&r, &whole);
    osp_msg_copy(&r, &whole);
    add_block(&r, OSP_OPT_BLOCK2, 0, true, 5);
    r.payload = osp_slice_head(whole.payload, 512);
    notify(&sub, &r);
    nothing_left();
    osp_msg_init(&r, OSP_CODE(2, 31));
    add_block(&r, OSP_OPT_BLOCK1, 0, true, 6);
    origin_says(&q, &r);
    at_origin(&q);
    expect_block(&q, OSP_OPT_BLOCK1, 1, false, 6);
    assert_true(osp_msg_has(&q, OSP_OPT_OBSERVE));
    EXPECT_BYTES(sub.token, q.token);
    osp_msg_init(&r, OSP_CODE(4, 4));                   /* and not under the layer */
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(5, 2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup_upstream, teardown_upstream)
        T(request_longer_than_a_datagram_goes_out_in_blocks),
        T(smaller_blocks_after_4_13),
        T(origin_that_loses_blocks_is_a_bad_gateway),
        T(response_in_outer_blocks_is_put_together),
        T(blocks_of_two_bodies_are_never_one),
        T(endless_response_is_given_up),
        T(blocks_on_one_leg_are_not_blocks_on_the_other),
        T(notification_in_outer_blocks_is_put_together),
        T(registration_without_a_whole_answer_fails),
        T(long_registration_goes_out_in_blocks),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
