/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one client, or a crowd of strangers, can take away from others: a share of each table, and nothing of what is kept for
 * clients with a context.  All of it over all workers.
 */
#include "blocks.h"

#include <stdio.h>

#define EXCHANGES 512

static struct osp_shares *common;

static void
crowded(struct osp_proxy_cfg *cfg)
{
    small(cfg);
    cfg->max_exchanges = EXCHANGES;
    w.ep_cfg.max_messages = 4096;
    w.ep_cfg.max_requests = EXCHANGES;
    w.ep_cfg.nstart = EXCHANGES;         /* registrations upstream are confirmable */
    cfg->client_share = 25;
    cfg->prefix_share = 50;
    cfg->known_reserve = 25;
    cfg->shares = common;
}

/* A NON for the origin, which does not answer; 0: it went there, or the code of the error. */
static uint8_t
ask(const struct osp_ip *from, uint16_t port, bool observe)
{
    struct osp_addr  a = { .ip = *from, .port = port };
    uint8_t          buf[256];
    char             which[16];
    struct osp_wr    d = osp_wr_to(buf, sizeof(buf));
    struct osp_msg   m, out;

    request(&m, OSP_GET, "slow");
    if (observe) {
        add(&m, OSP_OPT_OBSERVE, "");
        (void)snprintf(which, sizeof(which), "n=%u", next_mid);         /* equal ones would share a registration */
        add(&m, OSP_OPT_URI_QUERY, which);
    }
    m.type = OSP_NON;
    m.mid = ++next_mid;
    m.token = osp_slice((const uint8_t *)&next_mid, 2);
    EXPECT_OK(osp_msg_encode_udp(&m, &d));
    world_in_from(&w, WORLD_LISTENER, &a, osp_wr_slice(&d));
    take(&out);
    return last.to.sock == 0 ? 0 : out.code;
}

/* A request under the client's layer reaches the origin, and its answer comes back. */
static void
client_is_served(struct osp_octx *c, uint16_t port)
{
    uint8_t          buf[2048];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_layer l;
    struct osp_msg   m, whole, q, r;

    request(&m, OSP_GET, "x");
    protect(c, &m, &wr, &whole, &l);
    send_from(1, port, &whole);
    at_origin(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    osp_layer_fini(&l);
}

static void
begin(void)
{
    w.tune = crowded;
    world_start(&w);
}

/* ---- exchanges ---- */

/* 600 NONs of one stranger gave 5.03 to clients with a context. */
static void
one_stranger_takes_its_share_of_the_exchanges(void **state)
{
    struct osp_octx *c = client_context();
    struct osp_ip    stranger = osp_ip_v4(198, 51, 100, 7), other = osp_ip_v4(203, 0, 113, 7);
    unsigned         went = 0;

    (void)state;
    begin();
    for (unsigned i = 0; i < 600; i++)
        went += ask(&stranger, (uint16_t)(1024 + i), false) == 0;
    assert_int_equal(went, EXCHANGES / 4);
    assert_int_equal(stats().used[OSP_SHARE_EXCHANGES][0], EXCHANGES / 4);
    assert_int_equal(stats().errors[OSP_E_SHARE], 600 - EXCHANGES / 4);
    client_is_served(c, 40000);
    assert_int_equal(ask(&other, 5000, false), 0);      /* other strangers too */
    osp_octx_unref(c);
}

static void
strangers_of_one_network_take_half(void **state)
{
    unsigned went = 0;

    (void)state;
    begin();
    for (unsigned i = 0; i < 2000; i++) {
        struct osp_ip ip = osp_ip_v4(198, 51, 100, (uint8_t)i);

        went += ask(&ip, (uint16_t)(1024 + i), false) == 0;
    }
    assert_int_equal(went, EXCHANGES / 2);
}

static void
one_ipv6_network_is_one_network(void **state)
{
    struct osp_ip ip = { { 0x20, 1, 0xd, 0xb8, 0, 7 } };
    unsigned      went = 0;

    (void)state;
    begin();
    for (unsigned i = 0; i < 2000; i++) {
        ip.b[6] = (uint8_t)i;
        ip.b[15] = (uint8_t)(i >> 8);
        went += ask(&ip, 1024, false) == 0;
    }
    assert_int_equal(went, EXCHANGES / 2);
    ip.b[5] = 8;
    assert_int_equal(ask(&ip, 1024, false), 0);
}

/* From anywhere, as spoofed datagrams come. */
static void
strangers_of_all_networks_leave_the_reserve(void **state)
{
    struct osp_octx *c = client_context();
    unsigned         went = 0;

    (void)state;
    begin();
    for (unsigned i = 0; i < 5000; i++) {
        struct osp_ip ip = osp_ip_v4((uint8_t)(20 + i % 7), (uint8_t)i, (uint8_t)(i >> 8), 1);

        went += ask(&ip, 1024, false) == 0;
    }
    assert_int_equal(went, EXCHANGES * 3 / 4);
    for (unsigned i = 0; i < 10; i++)
        client_is_served(c, (uint16_t)(40000 + i));
    world_run(&w, OSP_SEC(200));        /* they end, and everything is there again */
    w.out_count = 0;
    assert_int_equal(stats().used[OSP_SHARE_EXCHANGES][0], 0);
    assert_int_equal(ask(&(struct osp_ip){ { 1 } }, 1024, false), 0);
    osp_octx_unref(c);
}

/* A client with a context is one client at all of its addresses, and has a share too. */
static void
known_client_has_a_share(void **state)
{
    struct osp_octx *c = client_context();
    struct osp_ip    stranger = osp_ip_v4(198, 51, 100, 7);
    uint8_t          buf[512];
    struct osp_layer l;
    struct osp_msg   m, whole, out;
    unsigned         went = 0;

    (void)state;
    begin();
    for (unsigned i = 0; i < 300; i++) {
        struct osp_wr wr = osp_wr_to(buf, sizeof(buf));

        request(&m, OSP_GET, "x");
        protect(c, &m, &wr, &whole, &l);
        whole.type = OSP_NON;
        send_from((uint8_t)(20 + i % 7), (uint16_t)(1024 + i), &whole);
        take(&out);
        went += last.to.sock == 0;
        osp_layer_fini(&l);
    }
    assert_int_equal(went, EXCHANGES / 4);
    assert_int_equal(stats().used[OSP_SHARE_EXCHANGES][1], EXCHANGES / 4);
    assert_int_equal(ask(&stranger, 1024, false), 0);
    osp_octx_unref(c);
}

/* ---- observations ---- */

static void
one_stranger_takes_its_share_of_the_observations(void **state)
{
    struct osp_ip stranger = osp_ip_v4(10, 1, 2, 3);

    (void)state;
    begin();
    for (unsigned i = 0; i < 80; i++)
        assert_int_equal(ask(&stranger, (uint16_t)(1024 + i), true), 0);        /* the others are plain requests */
    assert_int_equal(stats().observations, EXCHANGES / 2 / 4);
    assert_int_equal(stats().used[OSP_SHARE_OBSERVATIONS][0], EXCHANGES / 2 / 4);
    world_run(&w, OSP_SEC(400));
    w.out_count = 0;
    assert_int_equal(stats().used[OSP_SHARE_OBSERVATIONS][0], 0);
}

/* ---- bodies ---- */

static void
send_block(const struct osp_msg *whole, uint32_t num, bool more, uint8_t host, uint16_t port)
{
    struct osp_msg m;
    size_t         n = 256, at = num * n;

    osp_msg_copy(&m, whole);
    m.payload = osp_slice(whole->payload.p + at, whole->payload.n - at < n ? whole->payload.n - at : n);
    add_block(&m, OSP_OPT_BLOCK1, num, more, 4);
    send_from(host, port, &m);
}

static void
forge(uint8_t net, uint8_t host, uint16_t port, uint8_t piv, char kid)
{
    uint8_t         option[3] = { 0x09, piv, (uint8_t)kid }, buf[1200];
    struct osp_addr from = { .ip = osp_ip_v4(192, 0, net, host), .port = port };
    struct osp_wr   d = osp_wr_to(buf, sizeof(buf));
    struct osp_msg  m;

    osp_msg_init(&m, OSP_POST);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice(option, 3)));
    add_block(&m, OSP_OPT_BLOCK1, 0, true, 4);
    m.payload = osp_slice(body, 256);
    m.type = OSP_NON;
    m.mid = ++next_mid;
    EXPECT_OK(osp_msg_encode_udp(&m, &d));
    w.now.us += 1000;
    world_in_from(&w, WORLD_LISTENER, &from, osp_wr_slice(&d));
    w.out_count = 0;
}

/* 300 forged outer blocks evicted a real transfer.  `where` they come from: its own address, its network, everywhere. */
static void
transfer_survives(int where, bool is_known)
{
    struct osp_octx *c = client_context();
    uint8_t          buf[4096];
    struct osp_wr    wr = osp_wr_to(buf, sizeof(buf));
    struct osp_layer l;
    struct osp_msg   m, whole, q, r;

    begin();
    if (is_known)
        client_is_served(c, 40000);
    request(&m, OSP_PUT, "up");
    m.payload = osp_slice(body, 700);
    protect(c, &m, &wr, &whole, &l);
    send_block(&whole, 0, true, 1, 40000);
    at_client(&r, OSP_CODE(2, 31));
    for (uint32_t num = 1; num < 3; num++) {
        for (unsigned i = 0; i < 300; i++)
            forge(where == 2 ? (uint8_t)(3 + i % 200) : 2, where == 0 ? 1 : (uint8_t)(20 + i % 100), (uint16_t)(1024 + i),
                  (uint8_t)i, 'C');
        send_block(&whole, num, num < 2, 1, 40000);
        if (num < 2)
            at_client(&r, OSP_CODE(2, 31));
    }
    at_origin(&q);
    EXPECT_BYTES(osp_slice(body, 700), q.payload);
    osp_msg_init(&r, OSP_CODE(2, 4));
    origin_says(&q, &r);
    at_client(&r, OSP_CODE(2, 4));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

static void
forged_blocks_from_its_address_do_not_end_a_transfer(void **state)
{
    (void)state;
    transfer_survives(0, false);
}

static void
forged_blocks_from_its_network_do_not_end_a_transfer(void **state)
{
    (void)state;
    transfer_survives(1, false);
}

static void
forged_blocks_from_everywhere_do_not_end_a_transfer(void **state)
{
    (void)state;
    transfer_survives(2, false);
}

/* Whose flow is known begins one in the middle of a flood, too. */
static void
known_client_begins_a_transfer_in_a_flood(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 3000; i++)
        forge((uint8_t)(3 + i % 200), (uint8_t)(20 + i % 100), (uint16_t)(1024 + i), (uint8_t)i, 'C');
    osp_proxy_free(w.px);
    transfer_survives(2, true);
}

/* A network that has its share takes no place from others, whose entries stand still; one without a share of its own does. */
static void
network_beyond_its_share_evicts_nobody(void **state)
{
    struct osp_octx *c = client_context();

    (void)state;
    begin();
    for (uint8_t i = 0; i < 8; i++)
        forge((uint8_t)(3 + i), 1, 1024, i, 'C');
    for (uint8_t i = 0; i < 16; i++)
        forge(2, (uint8_t)(20 + i), 1024, i, 'C');
    assert_int_equal(stats().used[OSP_SHARE_BODIES][0], 24); /* of 32, without the reserve */
    w.now.us += OSP_SEC(11);
    for (uint8_t i = 0; i < 8; i++)
        forge(2, (uint8_t)(60 + i), 1024, i, 'C');
    assert_int_equal(stats().bodies_evicted, 0);
    assert_int_equal(stats().used[OSP_SHARE_BODIES][0], 24);
    forge(2, 20, 1024, 99, 'C');                        /* who has one there replaces it */
    assert_int_equal(stats().bodies_evicted, 1);
    forge(90, 1, 1024, 99, 'C');                        /* another network gets in */
    assert_int_equal(stats().bodies_evicted, 2);
    assert_int_equal(stats().used[OSP_SHARE_BODIES][0], 24);
    osp_octx_unref(c);
}

/* ---- separate responses ---- */

/* Nobody acknowledges them, so each is kept for a minute and a half. */
static void
unacknowledged_answers_of_a_stranger_stay_within_its_share(void **state)
{
    struct osp_addr from = { .ip = osp_ip_v4(10, 1, 2, 3) };
    unsigned        confirmable = 0, others = 0;
    uint8_t         buf[256];
    struct osp_msg  m, q, r;

    (void)state;
    begin();
    for (unsigned i = 0; i < 300; i++) {
        struct osp_wr d = osp_wr_to(buf, sizeof(buf));

        request(&m, OSP_GET, "slow");
        m.mid = ++next_mid;
        from.port = (uint16_t)(1024 + i);
        EXPECT_OK(osp_msg_encode_udp(&m, &d));
        world_in_from(&w, WORLD_LISTENER, &from, osp_wr_slice(&d));
        at_origin(&q);
        world_run(&w, OSP_MS(510));
        w.out_count = 0;
        osp_msg_init(&r, OSP_CODE(2, 5));
        r.payload = osp_slice(body, 500);
        origin_says(&q, &r);
        take(&r);
        assert_int_equal(r.code, OSP_CODE(2, 5));       /* it is answered in any case */
        confirmable += r.type == OSP_CON;
        others += r.type == OSP_NON;
        if (i == 100)                   /* the oldest are given up after a minute */
            assert_int_equal(stats().used[OSP_SHARE_SEPARATE][0], 101);
    }
    assert_true(confirmable >= EXCHANGES / 4 && others > 20);
    assert_true(stats().used[OSP_SHARE_SEPARATE][0] <= EXCHANGES / 4);
    world_run(&w, OSP_SEC(120));
    w.out_count = 0;
    assert_int_equal(stats().used[OSP_SHARE_SEPARATE][0], 0);
}

/* ---- two workers ---- */

/* Burst 10 let 10 through for each worker. */
static void
rate_is_one_for_two_workers(void **state)
{
    struct osp_shares_cfg cfg = { .workers = 2, .client = 100, .prefix = 100, .rates = 64,
                                  .bound = { 2 * EXCHANGES, EXCHANGES, 64, 2 * EXCHANGES } };
    struct osp_ip         ip = osp_ip_v4(198, 51, 100, 7);
    struct osp_proxy     *px[2];
    struct osp_ep        *ep[2];
    unsigned              went = 0;

    (void)state;
    EXPECT_OK(osp_shares_new(&cfg, (struct osp_hash_key){ 8, 9 }, &common));
    w.rules[0].rate = 1;
    w.rules[0].burst = 10;
    for (int i = 0; i < 2; i++) {
        begin();
        px[i] = w.px;
        ep[i] = w.ep;
    }
    for (unsigned i = 0; i < 40; i++) {
        w.px = px[i % 2];
        w.ep = ep[i % 2];
        went += ask(&ip, (uint16_t)(1024 + i), false) == 0;
    }
    assert_int_equal(went, 10);
    w.now.us += OSP_SEC(2);
    for (unsigned i = 0; i < 40; i++) {
        w.px = px[i % 2];
        w.ep = ep[i % 2];
        went += ask(&ip, (uint16_t)(1024 + i), false) == 0;
    }
    assert_int_equal(went, 12);
    for (int i = 0; i < 2; i++) {
        w.px = px[i];
        world_stop(&w);
        osp_proxy_free(px[i]);
    }
    osp_shares_free(common);
    common = NULL;
    begin();                            /* for the end of the test */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(one_stranger_takes_its_share_of_the_exchanges),
        T(strangers_of_one_network_take_half),
        T(one_ipv6_network_is_one_network),
        T(strangers_of_all_networks_leave_the_reserve),
        T(known_client_has_a_share),
        T(one_stranger_takes_its_share_of_the_observations),
        T(forged_blocks_from_its_address_do_not_end_a_transfer),
        T(forged_blocks_from_its_network_do_not_end_a_transfer),
        T(forged_blocks_from_everywhere_do_not_end_a_transfer),
        T(known_client_begins_a_transfer_in_a_flood),
        T(network_beyond_its_share_evicts_nobody),
        T(unacknowledged_answers_of_a_stranger_stay_within_its_share),
        T(rate_is_one_for_two_workers),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
