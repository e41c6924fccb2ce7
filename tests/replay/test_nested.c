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
#include "world.h"

static json_t *all;

static json_t *
scenario(const char *id)
{
    size_t  i;
    json_t *s;

    json_array_foreach(json_object_get(all, "scenarios"), i, s)
        if (strcmp(vec_str(s, "id"), id) == 0)
            return s;
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

/* The context `name` of a scenario as `who` has it. */
static struct osp_octx *
context(struct world *w, json_t *s, const char *name, const char *who)
{
    json_t     *c = json_object_get(json_object_get(s, "contexts"), name), *ids = json_object_get(c, "sender_ids"), *v;
    const char *k, *own = NULL, *peer = NULL;

    json_object_foreach(ids, k, v) {
        if (strcmp(k, who) == 0)
            own = json_string_value(v);
        else
            peer = json_string_value(v);
    }
    return world_context(w, vec_str(c, "master_secret"), vec_str(c, "master_salt"), own, peer,
                         (uint64_t)json_integer_value(json_object_get(json_object_get(c, "first_sender_sequence_number"), who)));
}

static struct osp_slice
wire(json_t *s, size_t i, uint8_t *buf)
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
answer(struct world *w, struct osp_slice vector, const struct world_out *request)
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
    world_in(w, request->to.sock, request->to.peer.ip.b[15], request->to.peer.port, osp_wr_slice(&out));
}

/* Datagram `in` to the proxy, `out` from it; `back` to it, `home` from it. */
static void
run_hop(struct world *w, json_t *s, size_t in, size_t out, size_t back, size_t home)
{
    struct world_out o;
    uint8_t          buf[2048];

    world_in(w, WORLD_LISTENER, 1, 40000, wire(s, in, buf));
    assert_true(world_take(w, &o));
    expect_datagram(wire(s, out, buf), &o, false);
    answer(w, wire(s, back, buf), &o);
    assert_true(world_take(w, &o));
    /* the client's Token and Message ID come back: the whole datagram is the vector's, where C made it */
    expect_datagram(wire(s, home, buf), &o, true);
    assert_false(world_take(w, &o));
    assert_true(osp_proxy_idle(w->px));
}

static void
forward_proxy(struct world *w)
{
    world_init(w);
    w->policy.forward = true;
    world_allow_all(w);
    w->hosts[0] = (struct osp_host){ "example.com", osp_ip_v4(192, 0, 2, 9) };
    w->hosts[1] = (struct osp_host){ "p2.example", osp_ip_v4(192, 0, 2, 8) };
    w->policy.host_count = 2;
}

static void
protect_upstream(struct world *w, struct osp_octx *c)
{
    struct osp_target to = { .kind = OSP_TARGET_NAME, .scheme = OSP_SCHEME_COAP, .name = "example.com" };

    w->upstreams[0] = (struct osp_upstream){ .match = to, .ctx = c };
    w->policy.upstream_count = 1;
}

/* row L01 */
/* [ocp#2] */
static void
client_server_and_client_proxy(void **state)
{
    json_t             *s = scenario("fwd C-S, C-P");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_C_P", "P");
    world_start(&w);
    run_hop(&w, s, 0, 1, 2, 3);
    world_fini(&w);
}

/* row L02 */
static void
client_server_and_proxy_server(void **state)
{
    json_t             *s = scenario("fwd C-S, P-S");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    protect_upstream(&w, context(&w, s, "CTX_P_S", "P"));
    world_start(&w);
    run_hop(&w, s, 0, 1, 2, 3);
    world_fini(&w);
}

/* rows L03, L06 */
static void
all_three_layers(void **state)
{
    json_t             *s = scenario("fwd C-S, C-P, P-S");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_C_P", "P");
    protect_upstream(&w, context(&w, s, "CTX_P_S", "P"));
    world_start(&w);
    run_hop(&w, s, 0, 1, 2, 3);
    world_fini(&w);
}

/* row L04 */
static void
first_of_two_proxies_keeps_the_proxy_scheme(void **state)
{
    json_t             *s = scenario("two fwd C-S, C-P1, P1-P2, P2-S");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_C_P1", "P1");
    w.policy.has_next_hop = true;
    w.policy.next_hop = (struct osp_next_hop){ .to = at_ip(8), .ctx = context(&w, s, "CTX_P1_P2", "P1") };
    world_start(&w);
    run_hop(&w, s, 0, 1, 4, 5);
    world_fini(&w);
}

/* row L04 */
static void
second_of_two_proxies_consumes_it(void **state)
{
    json_t             *s = scenario("two fwd C-S, C-P1, P1-P2, P2-S");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_P1_P2", "P2");
    protect_upstream(&w, context(&w, s, "CTX_P2_S", "P2"));
    world_start(&w);
    run_hop(&w, s, 1, 2, 3, 4);
    world_fini(&w);
}

/* row L05 */
static void
reverse_by_host(void **state)
{
    json_t             *s = scenario("rev C-P, P-S");
    static struct world w;

    (void)state;
    world_init(&w);
    world_allow_all(&w);
    context(&w, s, "CTX_C_P", "P");
    w.routes[0] = (struct osp_route){ .name = "dev", .host = osp_slice_str("dev.example"), .outer_host = true,
                                      .hop = { .to = at_ip(9), .ctx = context(&w, s, "CTX_P_S", "P") } };
    w.policy.reverse = true;
    w.policy.route_count = 1;
    world_start(&w);
    run_hop(&w, s, 0, 1, 2, 3);
    world_fini(&w);
}

/* row L05 */
static void
reverse_by_path_prefix(void **state)
{
    json_t             *s = scenario("rev C-S, C-P, P-S");
    static struct world w;

    (void)state;
    world_init(&w);
    world_allow_all(&w);
    context(&w, s, "CTX_C_P", "P");
    w.segs[0] = osp_slice_str("dev1");
    w.routes[0] = (struct osp_route){ .name = "dev1", .path = w.segs, .path_count = 1, .has_path = true, .strip = 1,
                                      .hop = { .to = at_ip(9), .ctx = context(&w, s, "CTX_P_S", "P") } };
    w.policy.reverse = true;
    w.policy.route_count = 1;
    world_start(&w);
    run_hop(&w, s, 0, 1, 2, 3);
    world_fini(&w);
}

/* rows H01, H08 */
/* [ocp#3] */
static void
hop_limit_goes_from_layer_to_layer(void **state)
{
    json_t             *s = scenario("fwd C-S, C-P, P-S + Hop-Limit");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_C_P", "P");
    protect_upstream(&w, context(&w, s, "CTX_P_S", "P"));
    world_start(&w);
    run_hop(&w, s, 0, 1, 2, 3);
    world_fini(&w);
}

/* rows L14 */
/* [otp#B] */
static void
onion_loses_one_layer_per_proxy(void **state)
{
    json_t             *s = scenario("onion C-S, C-P2, C-P1");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_C_P1", "P1");
    world_start(&w);
    run_hop(&w, s, 0, 1, 4, 5);
    world_fini(&w);
    forward_proxy(&w);
    context(&w, s, "CTX_C_P2", "P2");
    world_start(&w);
    run_hop(&w, s, 1, 2, 3, 4);
    world_fini(&w);
}

/* rows O11, O12 */
/* [rfc8613#4.1.3.5] [ocp#2.5.1] */
static void
notifications_have_partial_ivs_of_the_proxy(void **state)
{
    json_t             *s = scenario("observe fwd C-S, C-P");
    static struct world w;
    struct world_out    o, request;
    uint8_t             buf[2048];
    struct osp_msg      req, n;
    bool                header;

    (void)state;
    forward_proxy(&w);
    context(&w, s, "CTX_C_P", "P");
    world_start(&w);
    world_in(&w, WORLD_LISTENER, 1, 40000, wire(s, 0, buf));
    assert_true(world_take(&w, &request));
    expect_datagram(wire(s, 1, buf), &request, false);
    answer(&w, wire(s, 2, buf), &request);
    assert_true(world_take(&w, &o));
    expect_datagram(wire(s, 3, buf), &o, true);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(request.bytes, request.n), &req, &header));
    for (size_t i = 4; i < 8; i += 2) {
        uint8_t ack[4] = { 0x60, 0, 0, 0 };

        EXPECT_OK(osp_msg_decode_udp(wire(s, i, buf), &n, &header));
        n.token = req.token;
        world_send(&w, 0, 9, 5683, &n);
        assert_true(world_take(&w, &o));                /* the ACK to S */
        assert_int_equal(o.n, 4);
        assert_true(world_take(&w, &o));
        expect_datagram(wire(s, i + 1, buf), &o, false);
        ack[2] = o.bytes[2];
        ack[3] = o.bytes[3];
        world_in(&w, WORLD_LISTENER, 1, 40000, osp_slice(ack, 4));
    }
    assert_false(osp_proxy_idle(w.px));                 /* it goes on */
    world_fini(&w);
}

/* ---- errors ---- */

static void
errors_world(struct world *w, json_t *s)
{
    forward_proxy(w);
    context(w, s, "CTX_C_P", "P");
}

/* The request of the errors scenario goes in, and vector `want` has to come out at once. */
static void
expect_error(struct world *w, json_t *s, size_t want)
{
    struct world_out o;
    uint8_t          buf[2048];

    world_in(w, WORLD_LISTENER, 1, 40000, wire(s, 0, buf));
    assert_true(world_take(w, &o));
    expect_datagram(wire(s, want, buf), &o, true);
    assert_true(osp_proxy_idle(w->px));
    world_fini(w);
}

/* rows L07, S15, P21 */
/* [ocp#2.4] [ocp#2.5] */
static void
not_allowed_is_4_01_under_the_layer(void **state)
{
    json_t             *s = scenario("errors fwd C-S, C-P");
    static struct world w;

    (void)state;
    errors_world(&w, s);
    w.policy.rule_count = 0;
    world_start(&w);
    expect_error(&w, s, 1);
}

/* row S15 */
static void
silence_upstream_is_5_04_under_the_layer(void **state)
{
    json_t             *s = scenario("errors fwd C-S, C-P");
    static struct world w;
    struct world_out    o;
    uint8_t             buf[2048];
    struct osp_msg      want, got;
    bool                header;

    (void)state;
    errors_world(&w, s);
    world_start(&w);
    world_in(&w, WORLD_LISTENER, 1, 40000, wire(s, 0, buf));
    world_run(&w, OSP_SEC(120));
    memset(&o, 0, sizeof(o));
    got.payload = OSP_EMPTY;
    while (world_take(&w, &o)) {
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &got, &header));
        if (o.to.sock == WORLD_LISTENER && got.code)
            break;
    }
    EXPECT_OK(osp_msg_decode_udp(wire(s, 3, buf), &want, &header));
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
    json_t             *s = scenario("errors fwd C-S, C-P");
    static struct world w;
    struct world_out    o;
    uint8_t             buf[2048], rst[4] = { 0x70, 0 };

    (void)state;
    errors_world(&w, s);
    world_start(&w);
    world_in(&w, WORLD_LISTENER, 1, 40000, wire(s, 0, buf));
    assert_true(world_take(&w, &o));
    rst[2] = o.bytes[2];
    rst[3] = o.bytes[3];
    world_in(&w, o.to.sock, 9, 5683, osp_slice(rst, 4));
    assert_true(world_take(&w, &o));
    expect_datagram(wire(s, 4, buf), &o, true);
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* row S02 */
/* [rfc8613#8.2] */
static void
unknown_kid_is_4_01_in_the_clear(void **state)
{
    json_t             *s = scenario("errors fwd C-S, C-P");
    static struct world w;

    (void)state;
    forward_proxy(&w);
    world_start(&w);
    expect_error(&w, s, 6);
}

/* rows S03, S04 */
/* [rfc8613#7.4] [rfc8613#8.2] */
static void
bad_tag_is_4_00_and_leaves_the_window_and_a_replay_is_4_01(void **state)
{
    json_t             *s = scenario("errors fwd C-S, C-P");
    static struct world w;
    struct world_out    o;
    uint8_t             buf[2048], wantbuf[2048];
    struct osp_slice    d = wire(s, 0, buf);

    (void)state;
    errors_world(&w, s);
    world_start(&w);
    buf[d.n - 1] ^= 1;
    world_in(&w, WORLD_LISTENER, 1, 40000, d);
    assert_true(world_take(&w, &o));
    expect_datagram(wire(s, 7, wantbuf), &o, true);
    buf[d.n - 1] ^= 1;
    buf[3]++;                   /* another Message ID: not a duplicate */
    world_in(&w, WORLD_LISTENER, 1, 40000, d);
    assert_true(world_take(&w, &o));
    assert_int_equal(o.to.sock, 0);             /* the good one was forwarded */
    buf[3]++;
    world_in(&w, WORLD_LISTENER, 1, 40000, d);
    assert_true(world_take(&w, &o));
    expect_datagram(wire(s, 8, wantbuf), &o, false);
    assert_false(world_take(&w, &o));
    world_run(&w, OSP_SEC(400));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
}

/* row S01 */
static void
undecodable_option_is_4_02_in_the_clear(void **state)
{
    json_t             *s = scenario("errors fwd C-S, C-P");
    static struct world w;
    struct world_out    o;
    uint8_t             buf[2048];
    struct osp_slice    d = wire(s, 0, buf);
    size_t              at = 0;

    (void)state;
    errors_world(&w, s);
    world_start(&w);
    while (memcmp(buf + at, "\x09\x1f\x20", 3) != 0)
        at++;
    buf[at] |= 0x80;
    world_in(&w, WORLD_LISTENER, 1, 40000, d);
    assert_true(world_take(&w, &o));
    expect_datagram(wire(s, 9, buf), &o, true);
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
