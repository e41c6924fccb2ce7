/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scenarios of the drafts at the proxy, byte for byte: for each proxy of each scenario the datagrams that
 * reach it go in, and what comes out has to be the datagram of the vector, but for Token and Message ID, which
 * are hop by hop and the proxy's own.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/vec.h"
#include "the_world.h"

static json_t *all;     /* the vectors */
static json_t *s;       /* the scenario of this test */

static json_t *
scenario(const char *id)
{
    size_t  i;
    json_t *one;

    json_array_foreach(json_object_get(all, "scenarios"), i, one)
        if (strcmp(vec_str(one, "id"), id) == 0)
            return one;
    fail_msg("no scenario %s", id);
    return NULL;
}

/* coap://192.0.2.<host>, host 8 or 9 */
static struct osp_authority
at_ip(uint8_t host)
{
    return (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str(host == 8 ? "192.0.2.8" : "192.0.2.9"), 5683, true,
                                   osp_ip_v4(192, 0, 2, host) };
}

/* The context `name` of the scenario as `who` has it. */
static struct osp_octx *
context(const char *name, const char *who)
{
    json_t     *c = json_object_get(json_object_get(s, "contexts"), name), *ids = json_object_get(c, "sender_ids"), *v;
    const char *k, *own = NULL, *peer = NULL;

    json_object_foreach(ids, k, v) {
        if (strcmp(k, who) == 0)
            own = json_string_value(v);
        else
            peer = json_string_value(v);
    }
    return world_context(&w, vec_str(c, "master_secret"), vec_str(c, "master_salt"), own, peer,
                         (uint64_t)json_integer_value(json_object_get(json_object_get(c, "first_sender_sequence_number"), who)));
}

static struct osp_slice
wire(size_t i, uint8_t *buf)
{
    return vec_hex(json_array_get(json_object_get(s, "wire"), i), "udp", buf, 2048);
}

/* Equal but for Message ID and Token. */
static void
expect_datagram(struct osp_slice want, const struct world_out *got, bool same_ids)
{
    struct osp_msg a, b;
    uint8_t        ba[2048], bb[2048];
    struct osp_wr  wa = osp_wr_to(ba, sizeof(ba)), wb = osp_wr_to(bb, sizeof(bb));
    bool           header;

    EXPECT_OK(osp_msg_decode_udp(want, &a, &header));
    EXPECT_OK(osp_msg_decode_udp(osp_slice(got->bytes, got->n), &b, &header));
    if (same_ids) {
        EXPECT_BYTES(want, osp_slice(got->bytes, got->n));
        return;
    }
    assert_int_equal(a.type, b.type);
    assert_int_equal(a.code, b.code);
    EXPECT_OK(osp_msg_encode_body(&a, &wa));
    EXPECT_OK(osp_msg_encode_body(&b, &wb));
    EXPECT_BYTES(osp_wr_slice(&wa), osp_wr_slice(&wb));
}

/* The vector's answer with Token and Message ID of the request that left the proxy. */
static void
answer(struct osp_slice vector, const struct world_out *request)
{
    struct osp_msg req, resp;
    uint8_t        buf[2048];
    struct osp_wr  out = osp_wr_to(buf, sizeof(buf));
    bool           header;

    EXPECT_OK(osp_msg_decode_udp(osp_slice(request->bytes, request->n), &req, &header));
    EXPECT_OK(osp_msg_decode_udp(vector, &resp, &header));
    resp.mid = req.mid;
    resp.token = req.token;
    EXPECT_OK(osp_msg_encode_udp(&resp, &out));
    world_in(&w, request->to.sock, request->to.peer.ip.b[15], request->to.peer.port, osp_wr_slice(&out));
}

static void
from_client(struct osp_slice datagram)
{
    world_in(&w, WORLD_LISTENER, 1, 40000, datagram);
}

/* The next datagram from the proxy is number `i` of the scenario; where its maker made it (`same_ids`), all of it. */
static struct world_out
expect_next(size_t i, bool same_ids)
{
    struct world_out o;
    uint8_t          buf[2048];

    assert_true(world_take(&w, &o));
    expect_datagram(wire(i, buf), &o, same_ids);
    return o;
}

/* The proxy begins; datagram `in` to it, `out` from it, `back` to it, `home` from it; and it ends. */
static void
run_hop(size_t in, size_t out, size_t back, size_t home)
{
    struct world_out o;
    uint8_t          buf[2048];

    world_start(&w);
    from_client(wire(in, buf));
    o = expect_next(out, false);
    answer(wire(back, buf), &o);
    (void)expect_next(home, true);      /* the client's Token and Message ID come back */
    assert_false(world_take(&w, &o));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* A forward-proxy of scenario `id`. */
static void
forward_proxy(const char *id)
{
    s = scenario(id);
    world_init(&w);
    w.policy.forward = true;
    world_allow_all(&w);
    w.hosts[0] = (struct osp_host){ "example.com", osp_ip_v4(192, 0, 2, 9) };
    w.hosts[1] = (struct osp_host){ "p2.example", osp_ip_v4(192, 0, 2, 8) };
    w.policy.host_count = 2;
}

/* A reverse-proxy of scenario `id` that shares a context with the client; its route is still to be set. */
static void
reverse_proxy(const char *id)
{
    s = scenario(id);
    world_init(&w);
    world_allow_all(&w);
    context("CTX_C_P", "P");
    w.policy.reverse = true;
    w.policy.route_count = 1;
}

/* Requests to example.com get the layer of this context. */
static void
protect_upstream(const char *name, const char *who)
{
    struct osp_target to = { .kind = OSP_TARGET_NAME, .scheme = OSP_SCHEME_COAP, .name = "example.com" };

    w.upstreams[0] = (struct osp_upstream){ .match = to, .ctx = context(name, who) };
    w.policy.upstream_count = 1;
}

/* row L01 */
/* [ocp#2] */
static void
client_server_and_client_proxy(void **state)
{
    (void)state;
    forward_proxy("fwd C-S, C-P");
    context("CTX_C_P", "P");
    run_hop(0, 1, 2, 3);
}

/* row L02 */
static void
client_server_and_proxy_server(void **state)
{
    (void)state;
    forward_proxy("fwd C-S, P-S");
    protect_upstream("CTX_P_S", "P");
    run_hop(0, 1, 2, 3);
}

/* rows L03, L06 */
static void
all_three_layers(void **state)
{
    (void)state;
    forward_proxy("fwd C-S, C-P, P-S");
    context("CTX_C_P", "P");
    protect_upstream("CTX_P_S", "P");
    run_hop(0, 1, 2, 3);
}

/* row L04 */
static void
first_of_two_proxies_keeps_the_proxy_scheme(void **state)
{
    (void)state;
    forward_proxy("two fwd C-S, C-P1, P1-P2, P2-S");
    context("CTX_C_P1", "P1");
    w.policy.has_next_hop = true;
    w.policy.next_hop = (struct osp_next_hop){ .to = at_ip(8), .ctx = context("CTX_P1_P2", "P1") };
    run_hop(0, 1, 4, 5);
}

/* row L04 */
static void
second_of_two_proxies_consumes_it(void **state)
{
    (void)state;
    forward_proxy("two fwd C-S, C-P1, P1-P2, P2-S");
    context("CTX_P1_P2", "P2");
    protect_upstream("CTX_P2_S", "P2");
    run_hop(1, 2, 3, 4);
}

/* row L05 */
static void
reverse_by_host(void **state)
{
    (void)state;
    reverse_proxy("rev C-P, P-S");
    w.routes[0] = (struct osp_route){ .name = "dev", .host = osp_slice_str("dev.example"), .outer_host = true,
                                      .hop = { .to = at_ip(9), .ctx = context("CTX_P_S", "P") } };
    run_hop(0, 1, 2, 3);
}

/* row L05 */
static void
reverse_by_path_prefix(void **state)
{
    (void)state;
    reverse_proxy("rev C-S, C-P, P-S");
    w.segs[0] = osp_slice_str("dev1");
    w.routes[0] = (struct osp_route){ .name = "dev1", .path = w.segs, .path_count = 1, .has_path = true, .strip = 1,
                                      .hop = { .to = at_ip(9), .ctx = context("CTX_P_S", "P") } };
    run_hop(0, 1, 2, 3);
}

/* rows H01, H08 */
/* [ocp#3] */
static void
hop_limit_goes_from_layer_to_layer(void **state)
{
    (void)state;
    forward_proxy("fwd C-S, C-P, P-S + Hop-Limit");
    context("CTX_C_P", "P");
    protect_upstream("CTX_P_S", "P");
    run_hop(0, 1, 2, 3);
}

/* rows L14 */
/* [otp#B] */
static void
onion_loses_one_layer_per_proxy(void **state)
{
    (void)state;
    forward_proxy("onion C-S, C-P2, C-P1");
    context("CTX_C_P1", "P1");
    run_hop(0, 1, 4, 5);
    forward_proxy("onion C-S, C-P2, C-P1");
    context("CTX_C_P2", "P2");
    run_hop(1, 2, 3, 4);
}

/* rows O11, O12 */
/* [rfc8613#4.1.3.5] [ocp#2.5.1] */
static void
notifications_have_partial_ivs_of_the_proxy(void **state)
{
    struct world_out o, request;
    uint8_t          buf[2048];
    struct osp_msg   req, n;
    bool             header;

    (void)state;
    forward_proxy("observe fwd C-S, C-P");
    context("CTX_C_P", "P");
    world_start(&w);
    from_client(wire(0, buf));
    request = expect_next(1, false);
    answer(wire(2, buf), &request);
    (void)expect_next(3, true);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(request.bytes, request.n), &req, &header));
    for (size_t i = 4; i < 8; i += 2) {
        uint8_t ack[4] = { 0x60, 0, 0, 0 };

        EXPECT_OK(osp_msg_decode_udp(wire(i, buf), &n, &header));
        n.token = req.token;
        world_send(&w, 0, 9, 5683, &n);
        assert_true(world_take(&w, &o));                /* the ACK to S */
        assert_int_equal(o.n, 4);
        o = expect_next(i + 1, false);
        ack[2] = o.bytes[2];
        ack[3] = o.bytes[3];
        from_client(osp_slice(ack, 4));
    }
    assert_false(osp_proxy_idle(w.px));                 /* it goes on */
    world_fini(&w);
}

/* ---- errors ---- */

static void
errors_world(void)
{
    forward_proxy("errors fwd C-S, C-P");
    context("CTX_C_P", "P");
}

/* The proxy begins; the request of the errors scenario goes in, and vector `want` has to come out at once. */
static void
expect_error(size_t want)
{
    uint8_t buf[2048];

    world_start(&w);
    from_client(wire(0, buf));
    (void)expect_next(want, true);
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* rows L07, S15, P21 */
/* [ocp#2.4] [ocp#2.5] */
static void
not_allowed_is_4_01_under_the_layer(void **state)
{
    (void)state;
    errors_world();
    w.policy.rule_count = 0;
    expect_error(1);
}

/* row S15 */
static void
silence_upstream_is_5_04_under_the_layer(void **state)
{
    struct world_out o;
    uint8_t          buf[2048];
    struct osp_msg   want, got;
    bool             header;

    (void)state;
    errors_world();
    world_start(&w);
    from_client(wire(0, buf));
    world_run(&w, OSP_SEC(120));
    memset(&o, 0, sizeof(o));
    got.payload = OSP_EMPTY;
    while (world_take(&w, &o)) {
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &got, &header));
        if (o.to.sock == WORLD_LISTENER && got.code)
            break;
    }
    EXPECT_OK(osp_msg_decode_udp(wire(3, buf), &want, &header));
    EXPECT_BYTES(want.payload, got.payload);
    assert_int_equal(want.code, got.code);
    world_run(&w, OSP_SEC(300));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* row P10 */
static void
reset_upstream_is_5_02_under_the_layer(void **state)
{
    struct world_out o;
    uint8_t          buf[2048], rst[4] = { 0x70, 0 };

    (void)state;
    errors_world();
    world_start(&w);
    from_client(wire(0, buf));
    assert_true(world_take(&w, &o));
    rst[2] = o.bytes[2];
    rst[3] = o.bytes[3];
    world_in(&w, o.to.sock, 9, 5683, osp_slice(rst, 4));
    (void)expect_next(4, true);
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* row S02 */
/* [rfc8613#8.2] */
static void
unknown_kid_is_4_01_in_the_clear(void **state)
{
    (void)state;
    forward_proxy("errors fwd C-S, C-P");
    expect_error(6);
}

/* rows S03, S04 */
/* [rfc8613#7.4] [rfc8613#8.2] */
static void
bad_tag_is_4_00_and_leaves_the_window_and_a_replay_is_4_01(void **state)
{
    struct world_out o;
    uint8_t          buf[2048];
    struct osp_slice d;

    (void)state;
    errors_world();
    world_start(&w);
    d = wire(0, buf);
    buf[d.n - 1] ^= 1;
    from_client(d);
    (void)expect_next(7, true);
    buf[d.n - 1] ^= 1;
    buf[3]++;                   /* another Message ID: not a duplicate */
    from_client(d);
    assert_true(world_take(&w, &o));
    assert_int_equal(o.to.sock, 0);             /* the good one was forwarded */
    buf[3]++;
    from_client(d);
    (void)expect_next(8, false);
    assert_false(world_take(&w, &o));
    world_run(&w, OSP_SEC(400));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* row S01 */
static void
undecodable_option_is_4_02_in_the_clear(void **state)
{
    uint8_t          buf[2048];
    struct osp_slice d;
    size_t           at = 0;

    (void)state;
    errors_world();
    world_start(&w);
    d = wire(0, buf);
    while (memcmp(buf + at, "\x09\x1f\x20", 3) != 0)
        at++;
    buf[at] |= 0x80;
    from_client(d);
    (void)expect_next(9, true);
    world_fini(&w);
}

static int
setup(void **state)
{
    (void)state;
    all = vec_load("nested-oscore.json");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    json_decref(all);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_server_and_client_proxy),
        cmocka_unit_test(client_server_and_proxy_server),
        cmocka_unit_test(all_three_layers),
        cmocka_unit_test(first_of_two_proxies_keeps_the_proxy_scheme),
        cmocka_unit_test(second_of_two_proxies_consumes_it),
        cmocka_unit_test(reverse_by_host),
        cmocka_unit_test(reverse_by_path_prefix),
        cmocka_unit_test(hop_limit_goes_from_layer_to_layer),
        cmocka_unit_test(onion_loses_one_layer_per_proxy),
        cmocka_unit_test(notifications_have_partial_ivs_of_the_proxy),
        cmocka_unit_test(not_allowed_is_4_01_under_the_layer),
        cmocka_unit_test(silence_upstream_is_5_04_under_the_layer),
        cmocka_unit_test(reset_upstream_is_5_02_under_the_layer),
        cmocka_unit_test(unknown_kid_is_4_01_in_the_clear),
        cmocka_unit_test(bad_tag_is_4_00_and_leaves_the_window_and_a_replay_is_4_01),
        cmocka_unit_test(undecodable_option_is_4_02_in_the_clear),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
