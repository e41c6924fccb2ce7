/* SPDX-License-Identifier: BSD-2-Clause */
/* What the metrics say after exchanges whose events are known: each event is counted once, and nothing else is. */
#include "forward_world.h"

#include "tests/unit/with_crypto.h"

static struct osp_proxy_stats
counted(void)
{
    struct osp_proxy_stats st;

    osp_proxy_stats(w.px, &st);
    return st;
}

static struct osp_ep_stats
on_the_wire(void)
{
    return *osp_ep_stats(w.ep);
}

static uint64_t
sum(const uint64_t *values, size_t count)
{
    uint64_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += values[i];
    return n;
}

static void
content(struct osp_msg *r)
{
    osp_msg_init(r, OSP_CODE(2, 5));
    r->payload = osp_slice_str("22");
}

/* docs/metrics.md: a request, its answer in the acknowledgement, and the answer of the origin that it needs. */
static void
exchange_without_an_event_is_one_of_each(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    client_sends(forward(&m, "s.example"));
    assert_int_equal(counted().exchanges, 1);
    assert_int_equal(on_the_wire().requests, 1);
    taken(&q);
    content(&r);
    answer_request(&q, &r);
    expect_code(OSP_CODE(2, 5));
    assert_int_equal(counted().requests, 1);
    assert_int_equal(counted().forwarded_forward, 1);
    assert_int_equal(counted().forwarded_reverse, 0);
    assert_int_equal(counted().local, 0);
    assert_int_equal(counted().answers[2], 1);
    assert_int_equal(sum(counted().answers, 8), 1);
    assert_int_equal(sum(counted().errors, OSP_ERR_COUNT), 0);
    assert_int_equal(counted().exchanges, 0);
    assert_int_equal(on_the_wire().rx, 2);
    assert_int_equal(on_the_wire().rx_request, 1);
    assert_int_equal(on_the_wire().rx_response, 1);
    assert_int_equal(on_the_wire().piggybacked, 1);
    assert_int_equal(on_the_wire().separate, 0);
    assert_int_equal(on_the_wire().early_acks, 0);
    assert_int_equal(on_the_wire().retransmitted, 0);
    assert_int_equal(on_the_wire().requests, 0);
    assert_int_equal(sum(on_the_wire().dropped, OSP_ERR_COUNT), 0);
}

/* [rfc7252#5.2.2] A separate response and its acknowledgement; [rfc7252#4.5] a copy of the request. */
static void
late_answer_is_a_separate_one(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    client_sends(forward(&m, "s.example"));
    taken(&q);
    client_sends(&m);
    assert_int_equal(on_the_wire().rx_duplicate, 1);
    world_run(&w, OSP_MS(1900));
    w.out_count = 0;                    /* the empty acknowledgement */
    assert_int_equal(on_the_wire().early_acks, 1);
    content(&r);
    last_out.to.sock = 0;
    last_out.to.peer = (struct osp_addr){ .ip = osp_ip_v4(192, 0, 2, 9), .port = 5683 };
    answer_request(&q, &r);
    taken(&r);
    assert_int_equal(r.type, OSP_CON);
    assert_int_equal(on_the_wire().separate, 1);
    assert_int_equal(on_the_wire().piggybacked, 0);
    world_acknowledge(&w, 1, 40000, r.mid);
    assert_int_equal(on_the_wire().rx_empty, 1);
    assert_int_equal(on_the_wire().rx_request, 1);
    assert_int_equal(counted().requests, 1);
    assert_int_equal(counted().answers[2], 1);
    assert_int_equal(on_the_wire().timeouts, 0);
}

/* [rfc7252#4.2] MAX_RETRANSMIT is 4; the client hears of it once. */
static void
silence_of_the_origin_is_four_retransmissions_and_a_timeout(void **state)
{
    struct osp_msg m;

    (void)state;
    world_start(&w);
    client_sends(forward(&m, "s.example"));
    world_run(&w, OSP_SEC(50));
    assert_int_equal(on_the_wire().retransmitted, 4);
    assert_int_equal(on_the_wire().timeouts, 0);
    w.out_count = 0;
    world_run(&w, OSP_SEC(50));
    assert_int_equal(on_the_wire().timeouts, 1);
    assert_int_equal(counted().errors[OSP_E_TIMEOUT], 1);
    assert_int_equal(sum(counted().errors, OSP_ERR_COUNT), 1);
    assert_int_equal(counted().answers[5], 1);
}

/* [rfc7252#4.3] A ping, a Reset in answer to our request, and what is no message at all. */
static void
pings_resets_and_garbage_are_told_apart(void **state)
{
    static const uint8_t ping[4] = { 0x40, 0, 0x12, 0x34 }, reserved[4] = { 0x40, 0x21, 0x12, 0x35 }, garbage[3] = { 0x40, 1, 2 };
    uint8_t              reset[4] = { 0x70, 0, 0, 0 };
    struct osp_msg       m, q;

    (void)state;
    world_start(&w);
    world_in(&w, WORLD_LISTENER, 1, 40000, osp_slice(ping, 4));
    assert_int_equal(on_the_wire().rx_pong, 1);
    assert_int_equal(on_the_wire().resets_sent, 1);
    world_in(&w, WORLD_LISTENER, 1, 40000, osp_slice(reserved, 4));
    assert_int_equal(on_the_wire().dropped[OSP_E_RESERVED_CODE], 1);
    assert_int_equal(on_the_wire().resets_sent, 2);
    world_in(&w, WORLD_LISTENER, 1, 40000, osp_slice(garbage, 3));
    assert_int_equal(sum(on_the_wire().dropped, OSP_ERR_COUNT), 2);
    assert_int_equal(on_the_wire().resets_received, 0);
    w.out_count = 0;
    client_sends(forward(&m, "s.example"));
    taken(&q);
    reset[2] = (uint8_t)(q.mid >> 8);
    reset[3] = (uint8_t)q.mid;
    world_in(&w, 0, 9, 5683, osp_slice(reset, 4));
    assert_int_equal(on_the_wire().resets_received, 1);
    assert_int_equal(counted().errors[OSP_E_RESET], 1);
    assert_int_equal(counted().answers[5], 1);
    assert_int_equal(on_the_wire().rx, 5);
    assert_int_equal(counted().requests, 1);
    expect_code(OSP_CODE(5, 2));
}

/* By where a request goes: a route, the resources of the proxy itself, nowhere. */
static void
requests_are_counted_by_where_they_go(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    w.segs[0] = osp_slice_str("plant");
    w.routes[0] = (struct osp_route){ .name = "plant", .path = &w.segs[0], .path_count = 1, .has_path = true, .strip = 1 };
    w.routes[0].hop.to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true,
                                                 osp_ip_v4(192, 0, 2, 9) };
    w.policy.reverse = true;
    w.policy.route_count = 1;
    world_start(&w);
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_PATH, "plant");
    client_sends(&m);
    taken(&q);
    content(&r);
    answer_request(&q, &r);
    expect_code(OSP_CODE(2, 5));
    assert_int_equal(counted().forwarded_reverse, 1);
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_PATH, ".well-known");
    add(&m, OSP_OPT_URI_PATH, "core");
    expect_refused(&m, OSP_CODE(2, 5));
    assert_int_equal(counted().local, 1);
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_PATH, "nowhere");
    expect_refused(&m, OSP_CODE(4, 4));
    assert_int_equal(counted().requests, 3);
    assert_int_equal(counted().forwarded_reverse, 1);
    assert_int_equal(counted().forwarded_forward, 0);
    assert_int_equal(counted().local, 2);       /* the proxy itself has no such resource */
    assert_int_equal(counted().answers[2], 2);
    assert_int_equal(counted().answers[4], 1);
    assert_int_equal(sum(counted().errors, OSP_ERR_COUNT), 1);
}

/* A layer of the client's comes off, one for the next hop goes on; and the response has them the other way round. */
static void
layers_are_counted_on_requests(void **state)
{
    static const char secret[] = "000102030405060708090a0b0c0d0e0f", hop_secret[] = "101112131415161718191a1b1c1d1e1f";
    struct osp_octx  *client;
    struct osp_msg    m, sealed;
    struct osp_layer  layer;
    uint8_t           bytes[1024];
    struct osp_wr     wr = osp_wr_to(bytes, sizeof(bytes));

    (void)state;
    (void)world_context(&w, secret, "", "02", "01", 0);
    world_protect_upstream(&w, world_context(&w, hop_secret, "", "05", "06", 0));
    client = world_other_side(secret, "\x01", "\x02");
    world_start(&w);
    forward(&m, "s.example");
    world_protect(cr, client, &m, &wr, &sealed, &layer);
    client_sends(&sealed);
    assert_int_equal(w.out[0].to.sock, 0);
    assert_int_equal(counted().layers_removed, 1);
    assert_int_equal(counted().layers_added, 1);
    assert_int_equal(counted().layers_left, 0);
    w.out_count = 0;
    osp_layer_fini(&layer);
    osp_octx_unref(client);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, forward_setup, forward_teardown)
    const struct CMUnitTest tests[] = {
        T(exchange_without_an_event_is_one_of_each),
        T(late_answer_is_a_separate_one),
        T(silence_of_the_origin_is_four_retransmissions_and_a_timeout),
        T(pings_resets_and_garbage_are_told_apart),
        T(requests_are_counted_by_where_they_go),
        T(layers_are_counted_on_requests),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
