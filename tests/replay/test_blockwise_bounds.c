/* SPDX-License-Identifier: BSD-2-Clause */
/* The bounds of block-wise transfers at the proxy, in virtual time: without room, and many that never end. */
#include "blocks.h"

/* ---- no room ---- */

static void
roomless(struct osp_proxy_cfg *cfg)
{
    small(cfg);
    cfg->max_bodies = 0;
}

static void
without_room_transfers_are_refused_and_the_rest_is_served(void **state)
{
    uint8_t          buf[8192];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *c = client_context();
    struct osp_layer l;
    struct osp_msg   m, whole, q, r, inner;

    (void)state;
    w.tune = roomless;
    world_start(&w);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 400);
    protect(c, &m, &wr, &whole, &l);
    send_part(&whole, 0, 4);
    at_client(&r, OSP_CODE(5, 3));
    assert_true(osp_msg_has(&r, OSP_OPT_MAX_AGE));
    osp_msg_copy(&m, &whole);
    add_block(&m, OSP_OPT_BLOCK2, 0, false, 3);         /* whole, but the answer is wanted in parts */
    send(&m);
    at_origin(&q);
    EXPECT_BYTES(osp_slice(body, 400), q.payload);
    osp_msg_init(&r, OSP_CODE(2, 4));
    r.payload = osp_slice(body, 300);
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &r, &wr, &inner));
    assert_int_equal(inner.code, OSP_CODE(5, 3));
    request(&m, OSP_PUT, "up");                         /* blocks that pass by need no room */
    add_block(&m, OSP_OPT_BLOCK1, 0, true, 2);
    m.payload = osp_slice(body, 64);
    send(&m);
    at_origin(&q);
    assert_int_equal(tags(&q), 1);
    osp_layer_fini(&l);
    osp_octx_unref(c);
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

/* A layer of the client's comes off, so its flow is known. */
static void
client_is_known(struct osp_octx *c)
{
    uint8_t          buf[2048];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_layer l;
    struct osp_msg   m, whole, q, r;

    request(&m, OSP_PUT, "up");
    protect(c, &m, &wr, &whole, &l);
    send(&whole);
    at_origin(&q);
    osp_msg_init(&r, OSP_CODE(2, 4));
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    osp_layer_fini(&l);
}

/* One of a flood was taken in, or refused. */
static void
at_flooder(void)
{
    struct osp_msg r;

    take(&r);
    assert_true(r.code == OSP_CODE(2, 31) || r.code == OSP_CODE(5, 3));
}

/* row B08 */
static void
half_transfers_of_one_peer_stay_within_its_bound(void **state)
{
    struct osp_octx *c = client_context();
    size_t           at_most = 0;

    (void)state;
    world_start(&w);
    client_is_known(c);
    for (unsigned i = 0; i < 100000; i++) {
        begin_transfer(77, (uint16_t)(1024 + i % 60000), (uint8_t)(i >> 8 | 1));
        at_flooder();
        at_most = stats().bodies > at_most ? stats().bodies : at_most;
        if (i % 10000 == 5000)
            others_are_served(c);
    }
    assert_int_equal(at_most, 4);
    assert_true(stats().bodies_evicted + stats().errors[OSP_E_OVERLOAD] >= 90000);
    osp_octx_unref(c);
}

static void
half_transfers_of_many_peers_stay_within_the_common_bound(void **state)
{
    struct osp_octx *c = client_context();
    size_t           used = 0, at_most = 0;

    (void)state;
    world_start(&w);
    client_is_known(c);
    for (unsigned i = 0; i < 100000; i++) {
        begin_transfer((uint8_t)(10 + i % 200), (uint16_t)(1024 + i % 60000), (uint8_t)(i >> 8 | 1));
        at_flooder();
        at_most = stats().bodies > at_most ? stats().bodies : at_most;
        used = i == 10000 ? stats().pool_used : used;
        if (i % 10000 == 5000)
            others_are_served(c);
    }
    assert_int_equal(at_most, 32);
    assert_true(stats().pool_used < used + (1 << 20));
    assert_true(stats().bodies_evicted + stats().errors[OSP_E_OVERLOAD] >= 90000);
    osp_octx_unref(c);
}

static void
tight(struct osp_proxy_cfg *cfg)
{
    small(cfg);
    cfg->max_bodies = 2;
}

/* What was begun under a security context does not go for what was begun without one. */
static void
state_of_strangers_goes_first(void **state)
{
    static uint8_t   buf[16384];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx *c = client_context();
    struct osp_layer l[2];
    struct osp_msg   m, ask[2], q, r;

    (void)state;
    w.tune = tight;
    world_start(&w);
    for (size_t i = 0; i < 2; i++) {
        request(&m, OSP_GET, i ? "a" : "b");
        protect(c, &m, &wr, &ask[i], &l[i]);
        osp_msg_copy(&m, &ask[i]);
        add_block(&m, OSP_OPT_BLOCK2, 0, false, 3);
        send(&m);
        at_origin(&q);
        osp_msg_init(&r, OSP_CODE(2, 5));
        r.payload = osp_slice(body, 900);
        origin_says(&q, &r);
        at_client(&r, OSP_CODE(2, 4));
        osp_layer_fini(&l[i]);
    }
    for (uint32_t n = 1; n < 4; n++) {
        begin_transfer(77, 1024, (uint8_t)n);
        at_client(&r, OSP_CODE(5, 3));
        for (size_t i = 0; i < 2; i++) {
            osp_msg_copy(&m, &ask[i]);
            m.payload = OSP_EMPTY;
            add_block(&m, OSP_OPT_BLOCK2, n, false, 3);
            send(&m);
            at_client(&r, OSP_CODE(2, 4));
        }
    }
    osp_octx_unref(c);
}

static void
oldest_of_a_peer_goes_at_its_bound(void **state)
{
    struct osp_octx *c = client_context();
    struct osp_msg   r;

    (void)state;
    world_start(&w);
    for (uint8_t piv = 1; piv <= 5; piv++) {
        begin_transfer(77, 1024, piv);
        at_client(&r, OSP_CODE(2, 31));
        world_run(&w, OSP_SEC(3));      /* the first one stands still by then */
    }
    for (uint8_t piv = 1; piv <= 2; piv++) {
        uint8_t option[3] = { 0x09, piv, 'C' };

        osp_msg_remove(&flood_request, OSP_OPT_OSCORE);
        EXPECT_OK(osp_msg_add(&flood_request, OSP_OPT_OSCORE, osp_slice(option, 3)));
        add_block(&flood_request, OSP_OPT_BLOCK1, 1, true, 6);
        send_from(77, 1024, &flood_request);
        at_client(&r, piv == 1 ? OSP_CODE(4, 8) : OSP_CODE(2, 31));
    }
    osp_octx_unref(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(without_room_transfers_are_refused_and_the_rest_is_served),
        T(state_of_strangers_goes_first),
        T(oldest_of_a_peer_goes_at_its_bound),
        T(half_transfers_of_one_peer_stay_within_its_bound),
        T(half_transfers_of_many_peers_stay_within_the_common_bound),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
